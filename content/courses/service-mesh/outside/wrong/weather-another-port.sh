sed -e 's/number: 80/number: 8080/' weather.yaml | kubectl apply --filename -
