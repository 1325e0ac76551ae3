kubectl scale deployment web --replicas=@{replicas}
kubectl apply --filename web.yaml
kubectl rollout status deployment/web --timeout=60s
