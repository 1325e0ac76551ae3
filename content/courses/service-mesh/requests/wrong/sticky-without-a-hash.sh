kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: basket
spec:
  host: basket
  trafficPolicy:
    loadBalancer:
      simple: ROUND_ROBIN
END
