kubectl set image deployment/api hello=@{registry}/hello:broken
sleep 5
kubectl scale deployment api --replicas=2
