sed 's/ClusterIP/NodePort/' web-service.yaml | kubectl apply --filename -
