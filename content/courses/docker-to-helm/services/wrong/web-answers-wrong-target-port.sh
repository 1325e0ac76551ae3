sed 's/targetPort: 3000/targetPort: 80/' web-service.yaml | kubectl apply --filename -
