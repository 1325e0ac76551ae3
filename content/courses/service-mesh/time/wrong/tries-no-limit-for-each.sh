kubectl apply --filename - <<END
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: report
spec:
  hosts: [report]
  http:
    - route:
        - destination: {host: report}
      timeout: $((@{each} * (@{again} + 1)))ms
      retries:
        attempts: @{again}
        retryOn: 5xx
END
