kubectl patch networkpolicy outside --type json --patch '[{"op": "add", "path": "/spec/ingress/0/from/-", "value": {"podSelector": {"matchLabels": {"app": "client"}}}}]'
