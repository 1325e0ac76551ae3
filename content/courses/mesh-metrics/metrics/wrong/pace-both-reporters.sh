kindlab answer @{lab}/pace $((2 * @{pace})) || true
