kindlab answer @{lab}/slow @{fine} || true
