kubectl apply --filename - <<EOF
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: post
spec:
  hosts: [post.out-@{attendee}]
  exportTo: ["."]
  location: MESH_EXTERNAL
  ports:
    - {number: 80, name: http, protocol: HTTP}
  resolution: DNS
  endpoints:
    - address: post.out-@{attendee}.@{ns}.svc.cluster.local
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: exit
spec:
  selector: {istio: exit-@{attendee}}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: [bank.out-@{attendee}, post.out-@{attendee}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: post
spec:
  hosts: [post.out-@{attendee}]
  exportTo: ["."]
  gateways: [exit]
  http:
    - match:
        - gateways: [mesh]
      route:
        - destination: {host: exit}
    - match:
        - gateways: [exit]
      route:
        - destination: {host: post.out-@{attendee}}
EOF
