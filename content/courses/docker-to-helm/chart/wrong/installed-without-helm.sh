helm template hello greeter --set replicas=@{replicas} --set message=@{word} | kubectl apply --filename -
kubectl rollout status deployment/hello --timeout=60s
