kindlab answer @{lab}/kinds ServiceEntry || true
