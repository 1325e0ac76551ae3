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
EOF
kubectl patch networkpolicy outside --type json --patch '[{"op": "add", "path": "/spec/ingress/0/from/-", "value": {"podSelector": {"matchLabels": {"app": "client"}}}}]'
