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
sleep 5
kubectl scale deployment menu-v1 --replicas=0
kubectl rollout status deployment/menu-v1 --timeout=60s
