sed 's/app: web/app: orders/' web-node.yaml | kubectl apply --filename -
