kubectl patch service echo --patch '{"spec": {"ports": [{"port": @{port}, "name": "tcp-echo", "targetPort": "http"}]}}'
