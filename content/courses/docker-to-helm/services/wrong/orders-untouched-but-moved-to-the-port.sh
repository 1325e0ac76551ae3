kubectl set env deployment/orders PORT=8080
kubectl patch deployment orders --type json --patch '[{"op": "replace", "path": "/spec/template/spec/containers/0/ports/0/containerPort", "value": 8080}]'
kubectl patch service orders --type merge --patch '{"spec": {"selector": {"app": "orders", "tier": "back"}}}'
kubectl rollout status deployment/orders --timeout=60s
