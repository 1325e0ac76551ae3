kindlab answer @{lab}/fails @{fine} || true
