kubectl apply --filename - <<EOF
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: default
spec:
  selector:
    matchLabels:
      app: web
  mtls:
    mode: PERMISSIVE
EOF
