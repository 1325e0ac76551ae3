kubectl patch deployment orders --patch '{"spec": {"template": {"metadata": {"labels": {"tier": "backend"}}}}}'
kubectl patch service orders --type merge --patch '{"spec": {"ports": [{"port": 80, "targetPort": 3000}]}}'
kubectl rollout status deployment/orders --timeout=60s
