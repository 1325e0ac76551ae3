helm upgrade hello greeter --set replicas=@{more} --set image.tag=v2 --set colour=@{colour} --wait --timeout 60s
