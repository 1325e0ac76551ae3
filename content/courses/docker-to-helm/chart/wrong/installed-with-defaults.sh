helm install hello greeter --set message=@{word} --wait --timeout 60s
kubectl scale deployment hello --replicas=@{replicas}
kubectl rollout status deployment/hello --timeout=60s
