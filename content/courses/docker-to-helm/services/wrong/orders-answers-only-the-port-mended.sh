kubectl patch service orders --type merge --patch '{"spec": {"ports": [{"port": 80, "targetPort": 3000}]}}'
