sed 's/port: 3000/port: 80/' web-pods.yaml | kubectl apply --filename -
