kubectl scale deployment web --replicas=$((@{replicas} + 1))
kubectl rollout status deployment/web --timeout=60s
