kubectl delete --filename web.yaml
kubectl apply --filename web.yaml
kubectl rollout status deployment/web --timeout=60s
