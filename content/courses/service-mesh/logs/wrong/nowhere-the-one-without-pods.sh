kindlab answer @{lab}/nowhere @{empty} || true
