kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: greeter
spec:
  hosts: [greeter]
  http:
    - name: everybody
      route:
        - destination: {host: greeter, subset: v1}
          weight: 50
        - destination: {host: greeter, subset: v2}
          weight: 50
END
