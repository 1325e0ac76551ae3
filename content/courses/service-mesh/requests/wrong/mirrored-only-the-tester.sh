kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: greeter
spec:
  hosts: [greeter]
  http:
    - name: tester
      match:
        - headers:
            end-user: {exact: @{tester}}
      route:
        - destination: {host: greeter, subset: v1}
      mirror: {host: greeter, subset: v2}
      mirrorPercentage: {value: 100}
    - name: everybody
      route:
        - destination: {host: greeter, subset: v1}
END
