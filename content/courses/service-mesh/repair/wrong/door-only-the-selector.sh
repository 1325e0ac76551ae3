kubectl patch gateways.networking.istio.io door --type merge --patch '{"spec": {"selector": {"istio": "ingressgateway"}}}'
