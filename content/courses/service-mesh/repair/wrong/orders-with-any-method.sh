kubectl patch destinationrules.networking.istio.io orders --type merge --patch '{"spec": {"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}}'
kubectl patch authorizationpolicies.security.istio.io orders --type merge --patch '{"spec": {"rules": [{"from": [{"source": {"principals": ["cluster.local/ns/@{ns}/sa/@{buyer}"]}}]}]}}'
