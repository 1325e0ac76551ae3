kubectl apply --filename stock.yaml
kindlab answer @{lab}/failures 50 || true
