sed '/subset: v1/d' echo.yaml | kubectl apply --filename -
kubectl scale deployment echo-v1 --replicas=2
kubectl rollout status deployment/echo-v1 --timeout=60s
