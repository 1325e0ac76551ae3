kubectl apply --filename network.yaml
kubectl delete authorizationpolicies --all
