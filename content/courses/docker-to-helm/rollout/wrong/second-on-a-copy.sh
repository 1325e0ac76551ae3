kubectl create deployment api-v2 --image=@{registry}/hello:v2 --replicas=3
kubectl rollout status deployment/api-v2 --timeout=60s
