kubectl apply --filename - <<EOF
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: till-records
spec:
  selector:
    matchLabels:
      app: orders
  action: ALLOW
  rules:
    - from:
        - source:
            principals: ["cluster.local/ns/@{ns}/sa/till"]
      to:
        - operation:
            methods: ["POST"]
            paths: ["/status/@{code}"]
EOF
