kubectl set image deployment/api hello=@{registry}/hello:broken
sleep 5
kubectl rollout pause deployment/api
