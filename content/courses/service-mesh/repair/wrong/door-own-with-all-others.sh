kubectl patch gateways.networking.istio.io door --type merge --patch '
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: ["@{lab}-@{attendee}.example", "*.@{attendee}.example"]
'
