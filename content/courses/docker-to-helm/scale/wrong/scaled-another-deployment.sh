sed 's/: web$/: hello/; s/replicas: 2/replicas: @{replicas}/' web.yaml | kubectl apply --filename -
kubectl rollout status deployment/hello --timeout=60s
