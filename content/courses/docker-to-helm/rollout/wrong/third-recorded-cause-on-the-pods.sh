kubectl patch deployment api --patch '{"spec": {"template": {"metadata": {"annotations": {"kubernetes.io/change-cause": "@{cause}"}}, "spec": {"containers": [{"name": "hello", "image": "@{registry}/hello:v3"}]}}}}'
kubectl rollout status deployment/api --timeout=120s
kubectl rollout undo deployment/api
kubectl rollout status deployment/api --timeout=120s
