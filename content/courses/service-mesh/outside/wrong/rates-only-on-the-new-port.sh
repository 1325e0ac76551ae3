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
    - {number: @{port}, name: http, protocol: HTTP}
  resolution: STATIC
  endpoints:
    - address: "$address"
EOF
