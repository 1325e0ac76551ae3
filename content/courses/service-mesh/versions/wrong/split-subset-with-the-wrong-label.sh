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
          weight: $((100 - @{share}))
        - destination:
            host: menu
            subset: v2
          weight: @{share}
EOF
kubectl apply --filename weights.yaml
sed 's/version: v1/version: v2/' menu-subsets.yaml | kubectl apply --filename -
