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
        - destination: {host: greeter, subset: v2}
    - name: browser
      match:
        - headers:
            user-agent: {regex: ".*@{browser}.*"}
      route:
        - destination: {host: greeter, subset: v3}
    - name: everybody
      route:
        - destination: {host: greeter, subset: v1}
END
