kindlab answer @{lab}/inside-port @{port} || true
