sed 's/name: stock/name: stock-again/' stock-again.yaml | kubectl apply --filename -
