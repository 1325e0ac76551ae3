kubectl label namespace @{ns} istio-injection=true
kubectl rollout restart deployment/web deployment/client
