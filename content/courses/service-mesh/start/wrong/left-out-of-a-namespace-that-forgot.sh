kubectl label namespace @{ns} istio-injection-
kubectl rollout restart deployment/backup
kubectl rollout status deployment/backup --timeout=60s
kubectl label namespace @{ns} istio-injection=enabled
