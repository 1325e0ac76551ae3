who=ann
[ @{group} = sales ] || [ @{group} = support ] || who=ben
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
    - from:
        - source:
            requestPrincipals: ["https://login.example/$who"]
      to:
        - operation:
            paths: ["/env"]
EOF
