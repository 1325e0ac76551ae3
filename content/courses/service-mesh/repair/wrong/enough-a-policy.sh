kindlab answer @{lab}/enough "a NetworkPolicy" || true
