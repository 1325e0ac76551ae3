kubectl patch deployment backup --patch '{"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "false"}}}}}'
kubectl rollout status deployment/backup --timeout=120s
