kubectl delete virtualservices,destinationrules,peerauthentications,authorizationpolicies --all
kubectl delete gateways.gateway.networking.k8s.io --all
