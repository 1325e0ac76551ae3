kubectl create serviceaccount @{account}
kubectl set serviceaccount deployment/web @{account}
kubectl rollout status deployment/web --timeout=90s
