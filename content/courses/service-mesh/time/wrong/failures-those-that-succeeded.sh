kubectl apply --filename stock.yaml
kindlab answer @{lab}/failures "$((50 - @{bad}0))" || true
