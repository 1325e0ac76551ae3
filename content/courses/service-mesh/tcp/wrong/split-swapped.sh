cat > divided.yaml <<EOF
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: echo
spec:
  hosts:
    - echo
  tcp:
    - match:
        - port: @{port}
      route:
        - destination:
            host: echo
            subset: v1
          weight: @{share}
        - destination:
            host: echo
            subset: v2
          weight: $((100 - @{share}))
EOF
kubectl apply --filename divided.yaml
