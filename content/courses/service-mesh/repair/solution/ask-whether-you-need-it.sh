kindlab answer @{lab}/enough "a gateway or an ingress"
kindlab answer @{lab}/twice "that doing a request twice does no harm"
kindlab answer @{lab}/worth "Forty services in five languages must encrypt and name every connection."
