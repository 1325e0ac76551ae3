kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: back
spec:
  hosts: [back]
  http:
    - timeout: @{limit}ms
      fault:
        delay:
          percentage: {value: 100}
          fixedDelay: 2s
      route:
        - destination: {host: back}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: front
spec:
  hosts: [front]
  http:
    - route:
        - destination: {host: front}
END
