helm upgrade hello greeter --values production.yaml --set image.tag=broken --wait=hookOnly
helm rollback hello 2 --wait --timeout 60s
