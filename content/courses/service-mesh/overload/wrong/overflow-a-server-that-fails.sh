kubectl set env deployment/tickets FAIL_RATE=1/2 FAIL_STATUS=503
kubectl rollout status deployment/tickets --timeout=90s
