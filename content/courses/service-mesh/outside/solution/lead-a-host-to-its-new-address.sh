address=$(kubectl get pods --selector app=rates-new --output jsonpath='{.items[0].status.podIP}')
kubectl apply --filename - <<EOF
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: rates
spec:
  hosts: [rates.far-@{attendee}]
  exportTo: ["."]
  location: MESH_EXTERNAL
  ports:
    - {number: 80, name: http, protocol: HTTP}
  resolution: STATIC
  endpoints:
    - address: "$address"
      ports: {http: @{port}}
EOF
