sed 's/attempts: 0/attempts: 1/' stock.yaml | kubectl apply --filename -
