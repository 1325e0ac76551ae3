kubectl delete virtualservices.networking.istio.io,destinationrules.networking.istio.io,gateways.networking.istio.io,peerauthentications.security.istio.io,authorizationpolicies.security.istio.io --all
kubectl delete services --all
