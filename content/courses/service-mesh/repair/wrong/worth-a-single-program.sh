kindlab answer @{lab}/worth "One team runs a single program." || true
