kubectl delete destinationrules.networking.istio.io orders
kubectl delete authorizationpolicies.security.istio.io orders
