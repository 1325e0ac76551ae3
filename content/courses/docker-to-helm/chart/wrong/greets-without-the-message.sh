helm install hello greeter --set replicas=@{replicas} --wait --timeout 60s
