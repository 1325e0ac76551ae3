kubectl apply --filename web-node.yaml
