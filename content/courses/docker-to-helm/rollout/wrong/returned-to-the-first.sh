kubectl set image deployment/api hello=@{registry}/hello:v3
kubectl annotate --overwrite deployment/api kubernetes.io/change-cause=@{cause}
kubectl rollout status deployment/api --timeout=120s
kubectl rollout undo deployment/api --to-revision=1
kubectl rollout status deployment/api --timeout=120s
