kindlab answer @{lab}/kept "about 50" || true
