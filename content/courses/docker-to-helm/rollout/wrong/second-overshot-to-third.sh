kubectl set image deployment/api hello=@{registry}/hello:v3
kubectl rollout status deployment/api --timeout=120s
