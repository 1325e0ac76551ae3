kubectl patch deployment outsider --patch '{"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "true"}}}}}'
kubectl rollout status deployment/outsider --timeout=90s
