helm upgrade hello greeter --values production.yaml --set image.tag=broken --wait --timeout 8s || true
helm upgrade hello greeter --values production.yaml --wait --timeout 60s
