sed 's/targetPort: http/targetPort: 80/' web-node.yaml | kubectl apply --filename -
