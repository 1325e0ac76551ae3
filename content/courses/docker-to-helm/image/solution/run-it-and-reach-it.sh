kindlab answer @{lab}/inside-port 3000
