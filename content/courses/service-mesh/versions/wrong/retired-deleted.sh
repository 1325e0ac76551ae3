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
          weight: 0
        - destination:
            host: menu
            subset: v2
          weight: 100
EOF
kubectl apply --filename weights.yaml
kubectl delete deployment menu-v1
