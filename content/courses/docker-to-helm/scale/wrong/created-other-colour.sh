sed 's/"@{colour}"/white/' web.yaml | kubectl apply --filename -
kubectl rollout status deployment/web --timeout=60s
