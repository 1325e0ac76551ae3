sed 's/consecutive5xxErrors: 3/consecutive5xxErrors: 300/' prices.yaml | kubectl apply --filename -
