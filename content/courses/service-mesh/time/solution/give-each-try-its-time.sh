kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: report
spec:
  hosts: [report]
  http:
    - route:
        - destination: {host: report}
      timeout: 10s
      retries:
        attempts: @{again}
        perTryTimeout: @{each}ms
        retryOn: 5xx
END
