sed 's/: web$/: hello/' web.yaml | kubectl apply --filename -
kubectl rollout status deployment/hello --timeout=60s
