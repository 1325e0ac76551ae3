cat > weights.yaml <<EOF
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: menu
spec:
  hosts:
    - menu
  http:
    - route:
        - destination:
            host: menu
            subset: v1
          weight: $((100 - @{later}))
        - destination:
            host: menu
            subset: v2
          weight: @{later}
EOF
kubectl apply --filename weights.yaml
