kubectl apply --filename - <<EOF
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: allow-nothing
spec:
  action: DENY
  rules:
    - from:
        - source:
            principals: ["cluster.local/ns/@{ns}/sa/web"]
EOF
