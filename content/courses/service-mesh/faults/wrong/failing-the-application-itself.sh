kubectl delete --filename abort.yaml --ignore-not-found
kubectl set env deployment/back FAIL_RATE=@{share}/100 FAIL_STATUS=@{code}
kubectl rollout status deployment/back --timeout=90s
