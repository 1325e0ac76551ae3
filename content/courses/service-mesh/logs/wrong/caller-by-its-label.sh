kindlab answer @{lab}/caller source_app || true
