kindlab answer @{lab}/enough "a mesh with a proxy in each pod" || true
