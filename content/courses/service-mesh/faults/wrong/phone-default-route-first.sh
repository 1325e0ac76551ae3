kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: back
spec:
  hosts: [back]
  http:
    - name: everybody
      route:
        - destination: {host: back}
    - name: phone
      match:
        - headers:
            user-agent: {regex: ".*@{phone}.*"}
      fault:
        abort:
          percentage: {value: 100}
          httpStatus: @{code}
      route:
        - destination: {host: back}
END
