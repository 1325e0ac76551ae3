kubectl delete virtualservices.networking.istio.io,gateways.networking.istio.io,peerauthentications.security.istio.io,authorizationpolicies.security.istio.io --all
kubectl delete destinationrules.networking.istio.io orders
