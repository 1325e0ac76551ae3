sed 's/app: web/app: orders/' web-service.yaml | kubectl apply --filename -
