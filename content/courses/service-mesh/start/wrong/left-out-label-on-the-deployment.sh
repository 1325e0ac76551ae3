kubectl label deployment backup sidecar.istio.io/inject=false
kubectl rollout restart deployment/backup
kubectl rollout status deployment/backup --timeout=60s
