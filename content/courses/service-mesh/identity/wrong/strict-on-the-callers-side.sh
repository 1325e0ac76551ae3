kubectl apply --filename - <<EOF
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: web
spec:
  host: web
  trafficPolicy:
    tls:
      mode: ISTIO_MUTUAL
EOF
