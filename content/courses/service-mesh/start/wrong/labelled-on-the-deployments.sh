kubectl label deployments --all istio-injection=enabled
kubectl rollout restart deployment/web deployment/client
