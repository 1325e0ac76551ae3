kindlab answer @{lab}/twice "that it has at least three pods" || true
