sed 's/port: 80/port: @{local}/' web-node.yaml | kubectl apply --filename -
