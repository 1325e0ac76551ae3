kubectl patch virtualservices.networking.istio.io door --type merge --patch '{"spec": {"http": [{"route": [{"destination": {"host": "shop", "subset": "@{new}"}}]}]}}'
kubectl patch gateways.networking.istio.io door --type merge --patch '
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: ["@{lab}-@{attendee}.example"]
'
