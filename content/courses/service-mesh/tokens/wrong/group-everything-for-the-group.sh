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
      when:
        - key: request.auth.claims[groups]
          values: ["@{group}"]
EOF
