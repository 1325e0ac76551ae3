kubectl apply --filename - <<EOF
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: signed-in
spec:
  selector:
    matchLabels:
      app: shop
  action: ALLOW
  rules:
    - from:
        - source:
            requestPrincipals: ["*"]
      to:
        - operation:
            paths: ["/api"]
    - to:
        - operation:
            paths: ["/env"]
      when:
        - key: request.auth.claims[group]
          values: ["@{group}"]
EOF
