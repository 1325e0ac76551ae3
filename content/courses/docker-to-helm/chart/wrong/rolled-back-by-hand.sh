helm upgrade hello greeter --values production.yaml --set image.tag=broken --wait --timeout 8s || true
kubectl rollout undo deployment/hello
kubectl rollout status deployment/hello --timeout=60s
