kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: report
spec:
  hosts: [report]
  http:
    - match:
        - uri: {prefix: /api}
      route:
        - destination: {host: report}
      timeout: @{limit}ms
    - route:
        - destination: {host: report}
END
