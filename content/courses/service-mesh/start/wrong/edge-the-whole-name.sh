kindlab answer @{lab}/edge istio-ingressgateway || true
