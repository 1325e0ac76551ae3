sed 's/app: web/app: webnode/' web-node.yaml | kubectl apply --filename -
