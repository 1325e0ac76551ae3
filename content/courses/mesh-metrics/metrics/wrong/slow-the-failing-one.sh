kindlab answer @{lab}/slow @{failing} || true
