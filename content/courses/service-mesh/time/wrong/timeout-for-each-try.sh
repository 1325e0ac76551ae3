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
      retries:
        attempts: 2
        retryOn: 5xx
        perTryTimeout: @{limit}ms
END
