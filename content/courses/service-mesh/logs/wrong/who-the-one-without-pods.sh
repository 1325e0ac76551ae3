kindlab answer @{lab}/who @{empty} || true
