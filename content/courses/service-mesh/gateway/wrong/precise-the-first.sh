kindlab answer @{lab}/precise "to the first, because the order decides" || true
