kubectl patch destinationrules.networking.istio.io orders --type merge --patch '{"spec": {"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}}'
