kindlab answer @{lab}/webhook istio-ingressgateway || true
