kindlab answer @{lab}/share 0.@{bad} || true
