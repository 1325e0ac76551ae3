kubectl scale deployment menu-v2 --replicas=3
kubectl rollout status deployment/menu-v2 --timeout=60s
