kindlab answer @{lab}/share $((@{bad} * 5)) || true
