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
  resolution: NONE
EOF
