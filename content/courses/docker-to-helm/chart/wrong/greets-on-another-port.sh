helm install hello greeter --set replicas=@{replicas} --set message=@{word} --set service.port=@{front} --wait --timeout 60s
