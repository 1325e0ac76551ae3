sed 's/retryOn: 5xx/retryOn: gateway-error/' stock-again.yaml | kubectl apply --filename -
