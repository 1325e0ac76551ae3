cat > tester.yaml <<EOF
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
            subset: v2
EOF
kubectl apply --filename tester.yaml
