kubectl apply --filename - <<EOF
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: settings
spec:
  selector:
    matchLabels:
      app: shop
  action: ALLOW
  rules:
    - to:
        - operation:
            paths: ["/env"]
      when:
        - key: request.auth.claims[groups]
          values: ["@{group}"]
EOF
