sed 's/name: web-pods/name: web-service-pods/' web-pods.yaml | kubectl apply --filename -
