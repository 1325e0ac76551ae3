kindlab answer @{lab}/trap "200 after 2.5 s" || true
