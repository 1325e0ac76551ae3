kubectl patch virtualservices.networking.istio.io shop --type json --patch '[{"op": "replace", "path": "/spec/http/0/route", "value": [{"destination": {"host": "shop", "subset": "stable"}}]}]'
