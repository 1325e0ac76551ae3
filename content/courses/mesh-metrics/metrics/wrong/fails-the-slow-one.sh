kindlab answer @{lab}/fails @{slow} || true
