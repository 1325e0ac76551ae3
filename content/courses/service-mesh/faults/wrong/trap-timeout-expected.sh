kindlab answer @{lab}/trap "504 after 500 ms" || true
