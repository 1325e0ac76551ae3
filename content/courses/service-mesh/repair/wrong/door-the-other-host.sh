kubectl patch gateways.networking.istio.io door --type merge --patch '{"spec": {"selector": {"istio": "ingressgateway"}}}'
kubectl patch virtualservices.networking.istio.io door --type merge --patch '{"spec": {"hosts": ["@{lab}.@{attendee}.example"]}}'
