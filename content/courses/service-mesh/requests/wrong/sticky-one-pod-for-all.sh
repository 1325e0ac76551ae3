kubectl scale deployment basket --replicas=1
kubectl rollout status deployment/basket --timeout=60s
kubectl apply --filename basket.yaml
