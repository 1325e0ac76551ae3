kubectl apply --filename - <<EOF
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: access-log}
spec:
  metrics:
    - providers: [{name: prometheus}]
EOF
