kubectl patch service orders --type merge --patch '{"spec": {"selector": {"app": "web", "tier": null}, "ports": [{"port": 80, "targetPort": 3000}]}}'
