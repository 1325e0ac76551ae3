kubectl label pods --selector app=orders --overwrite tier=backend
kubectl patch service orders --type merge --patch '{"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}'
