kubectl patch service echo --patch '{"spec": {"ports": [{"port": @{port}, "name": "grpc-echo"}]}}'
