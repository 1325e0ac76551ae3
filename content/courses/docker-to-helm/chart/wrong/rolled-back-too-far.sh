helm upgrade hello greeter --values production.yaml --set image.tag=broken --wait --timeout 8s || true
helm rollback hello 1 --wait --timeout 60s
