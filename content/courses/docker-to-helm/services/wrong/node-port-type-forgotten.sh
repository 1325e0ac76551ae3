sed '/type:/d' web-node.yaml | kubectl apply --filename -
