sed 's/app: web/app: webb/' web-service.yaml | kubectl apply --filename -
