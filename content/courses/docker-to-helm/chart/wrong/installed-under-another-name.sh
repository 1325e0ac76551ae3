helm install greeter greeter --set replicas=@{replicas} --set message=@{word} --wait --timeout 60s
