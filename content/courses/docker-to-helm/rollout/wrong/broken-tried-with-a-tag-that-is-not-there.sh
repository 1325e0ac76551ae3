kubectl set image deployment/api hello=@{registry}/hello:borken
sleep 5
kubectl rollout undo deployment/api
kubectl rollout status deployment/api --timeout=120s
