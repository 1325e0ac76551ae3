kubectl scale deployment menu-v1 --replicas=0
