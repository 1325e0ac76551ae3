kubectl set image deployment/api hello=@{registry}/hello:v3
kubectl annotate --overwrite deployment/api kubernetes.io/change-cause=@{cause}
kubectl rollout status deployment/api --timeout=120s
kubectl set env deployment/api ROLLED_BACK=yes
kubectl set image deployment/api hello=@{registry}/hello:v2
kubectl rollout status deployment/api --timeout=120s
