kubectl set image deployment/api hello=@{registry}/hello:broken
sleep 5
kubectl rollout undo deployment/api --to-revision=1
kubectl rollout status deployment/api --timeout=120s
