kubectl patch service orders --type merge --patch '{"spec": {"selector": {"tier": null}, "ports": [{"port": 80, "targetPort": 3000}]}}'
