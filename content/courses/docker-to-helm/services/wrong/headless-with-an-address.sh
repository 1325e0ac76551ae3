sed '/clusterIP/d' web-pods.yaml | kubectl apply --filename -
