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
          weight: @{share}
        - destination:
            host: menu
            subset: v2
          weight: $((100 - @{share}))
EOF
kubectl apply --filename weights.yaml
