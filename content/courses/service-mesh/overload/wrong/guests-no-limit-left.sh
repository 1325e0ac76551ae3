kubectl delete --filename tickets.yaml
