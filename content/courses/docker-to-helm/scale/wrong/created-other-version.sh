sed 's/hello:v1/hello:v2/' web.yaml | kubectl apply --filename -
kubectl rollout status deployment/web --timeout=60s
