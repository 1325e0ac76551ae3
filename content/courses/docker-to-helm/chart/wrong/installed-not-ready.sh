helm install hello greeter --set replicas=@{replicas} --set message=@{word} --set image.tag=broken --wait=hookOnly
sleep 3
