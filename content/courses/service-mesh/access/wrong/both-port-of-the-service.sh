sed 's/port: 3000/port: 80/' network.yaml | kubectl apply --filename -
