kindlab answer @{lab}/pace @{pace}
