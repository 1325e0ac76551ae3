kubectl label namespace @{ns} istio-injection=enabled
