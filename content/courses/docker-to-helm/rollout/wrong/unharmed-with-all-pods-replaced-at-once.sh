kubectl patch deployment api --patch '{"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}'
kubectl exec client -- /hello get -X POST http://watcher/reset
kubectl set image deployment/api hello=@{registry}/hello:broken
sleep 12
kubectl rollout undo deployment/api
kubectl rollout status deployment/api --timeout=120s
