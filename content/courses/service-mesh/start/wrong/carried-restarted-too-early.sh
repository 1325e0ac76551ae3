kubectl rollout restart deployment/web deployment/client
kubectl rollout status deployment/web --timeout=60s
kubectl rollout status deployment/client --timeout=60s
kubectl label namespace @{ns} istio-injection=enabled
