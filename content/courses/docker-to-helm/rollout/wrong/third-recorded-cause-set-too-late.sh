kubectl set image deployment/api hello=@{registry}/hello:v3
kubectl rollout status deployment/api --timeout=120s
kubectl rollout undo deployment/api
kubectl rollout status deployment/api --timeout=120s
kubectl annotate --overwrite deployment/api kubernetes.io/change-cause=@{cause}
