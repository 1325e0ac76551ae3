sed 's/: web$/: greeter/; s/replicas: 2/replicas: @{own}/; s/hello:v1/hello:v2/; s/APP_COLOR/MESSAGE/; s/"@{colour}"/"@{word}"/; s/3s$/0s/' web.yaml | kubectl apply --filename -
kubectl rollout status deployment/greeter --timeout=60s
