kubectl apply --filename bank.yaml
kubectl delete networkpolicy outside
