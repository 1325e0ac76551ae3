kindlab answer @{lab}/caller spiffe://cluster.local/ns/@{ns}/sa/web || true
