kubectl patch destinationrules.networking.istio.io orders --type merge --patch '{"spec": {"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}}'
kubectl patch authorizationpolicies.security.istio.io orders --type json --patch '[{"op": "replace", "path": "/spec/rules/0/from/0/source/principals/0", "value": "cluster.local/ns/@{ns}/sa/@{buyer}"}]'
