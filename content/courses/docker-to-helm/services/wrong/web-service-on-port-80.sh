sed 's/port: @{front}/port: 80/' web-service.yaml | kubectl apply --filename -
