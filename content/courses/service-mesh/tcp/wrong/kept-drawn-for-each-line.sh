kindlab answer @{lab}/kept "about 500" || true
