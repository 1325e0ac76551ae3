kubectl patch peerauthentication default --type merge --patch '{"spec": {"mtls": {"mode": "STRICT"}}}'
kubectl patch deployment client --patch '{"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "false"}}}}}'
kubectl rollout status deployment/client --timeout=90s
