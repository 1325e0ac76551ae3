kubectl exec client -- /hello get -X POST http://watcher/reset
kubectl annotate deployment/api kubernetes.io/change-cause="second release"
kubectl rollout restart deployment/api
kubectl rollout status deployment/api --timeout=120s
