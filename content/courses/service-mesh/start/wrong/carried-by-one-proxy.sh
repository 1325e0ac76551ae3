kubectl label namespace @{ns} istio-injection=enabled
kubectl rollout restart deployment/web
kubectl rollout status deployment/web --timeout=60s
