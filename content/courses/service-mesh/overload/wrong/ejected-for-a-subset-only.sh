kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: prices
spec:
  host: prices
  subsets:
    - name: v2
      labels: {version: v2}
      trafficPolicy:
        outlierDetection:
          consecutive5xxErrors: 3
          interval: 1s
          baseEjectionTime: 3m
          maxEjectionPercent: 100
END
