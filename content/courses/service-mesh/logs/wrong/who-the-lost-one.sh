kindlab answer @{lab}/who @{lost} || true
