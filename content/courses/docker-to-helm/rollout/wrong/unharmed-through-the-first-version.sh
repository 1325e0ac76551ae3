kubectl rollout undo deployment/api --to-revision=1
kubectl rollout status deployment/api --timeout=120s
kubectl exec client -- /hello get -X POST http://watcher/reset
kubectl set image deployment/api hello=@{registry}/hello:broken
sleep 8
kubectl rollout undo deployment/api
kubectl rollout status deployment/api --timeout=120s
