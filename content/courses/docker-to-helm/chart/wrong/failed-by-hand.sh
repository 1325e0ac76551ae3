kubectl set image deployment/hello hello=@{registry}/hello:broken
sleep 3
kubectl rollout undo deployment/hello
