kubectl exec client -- /hello get -X POST http://watcher/reset
kubectl get deployment api --output yaml | sed -e '/resourceVersion:/d' -e '/uid:/d' >api.yaml
sed -i.bak 's#/hello:v1#/hello:v2#' api.yaml
kubectl delete deployment api
sleep 8
kubectl create --filename api.yaml
kubectl rollout status deployment/api --timeout=120s
