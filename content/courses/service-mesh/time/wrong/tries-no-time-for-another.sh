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
      timeout: @{each}ms
      retries:
        attempts: @{again}
        perTryTimeout: @{each}ms
        retryOn: 5xx
END
