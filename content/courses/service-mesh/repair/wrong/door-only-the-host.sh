kubectl patch gateways.networking.istio.io door --type json --patch '[{"op": "replace", "path": "/spec/servers/0/hosts/0", "value": "@{lab}-@{attendee}.example"}]'
