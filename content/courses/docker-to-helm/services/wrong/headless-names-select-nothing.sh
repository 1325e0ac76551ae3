sed 's/app: web/app: web-pods/' web-pods.yaml | kubectl apply --filename -
