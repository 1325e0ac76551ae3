kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: tickets
spec:
  host: tickets
  trafficPolicy:
    connectionPool:
      tcp:
        maxConnections: @{guests}
END
