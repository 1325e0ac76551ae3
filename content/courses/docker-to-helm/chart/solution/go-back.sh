helm history hello | grep -q failed ||
	helm upgrade hello greeter --values production.yaml --set image.tag=broken --wait --timeout 15s || true
helm rollback hello 2 --wait --timeout 60s
