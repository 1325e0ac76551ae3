kubectl apply --filename tickets.yaml
