kindlab answer @{lab}/pace $((@{pace} + 3)) || true
