kubectl apply --filename - <<EOF
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: web
spec:
  selector:
    matchLabels:
      app: web
  mtls:
    mode: STRICT
  portLevelMtls:
    @{meter}:
      mode: PERMISSIVE
EOF
