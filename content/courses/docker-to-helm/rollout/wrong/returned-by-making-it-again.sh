kubectl set image deployment/api hello=@{registry}/hello:v3
kubectl annotate --overwrite deployment/api kubernetes.io/change-cause=@{cause}
kubectl rollout status deployment/api --timeout=120s
kubectl get deployment api --output yaml | sed -e '/resourceVersion:/d' -e '/uid:/d' >api.yaml
sed -i.bak 's#/hello:v3#/hello:v2#' api.yaml
kubectl delete deployment api --cascade=orphan
kubectl delete replicasets --selector app=api
kubectl create --filename api.yaml
kubectl rollout status deployment/api --timeout=120s
