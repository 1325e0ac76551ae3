sed 's/retryOn: 5xx/retryOn: connect-failure,refused-stream/' stock-again.yaml | kubectl apply --filename -
