sed 's/istio: ingressgateway/istio: gateway/' door.yaml | kubectl apply --filename -
