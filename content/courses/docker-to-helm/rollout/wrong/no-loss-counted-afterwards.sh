kubectl patch deployment api --patch '{"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}'
kubectl set image deployment/api hello=@{registry}/hello:v2
kubectl rollout status deployment/api --timeout=120s
kubectl exec client -- /hello get -X POST http://watcher/reset
sleep 2
