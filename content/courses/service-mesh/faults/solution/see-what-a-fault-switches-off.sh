kindlab answer @{lab}/trap "200 after 2 s"
