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
          sourceLabels:
            app: tester
      route:
        - destination:
            host: echo
            subset: v2
EOF
kubectl apply --filename tester.yaml
