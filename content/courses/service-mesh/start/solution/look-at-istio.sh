kindlab answer @{lab}/webhook istiod
kindlab answer @{lab}/kinds Ingress
kindlab answer @{lab}/edge ingressgateway
