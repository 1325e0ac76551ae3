kubectl patch destinationrules.networking.istio.io shop --type json --patch '[{"op": "replace", "path": "/spec/subsets/1", "value": {"name": "@{new}", "labels": {"version": "@{new}"}}}]'
