sed 's/attempts: @{bad}/attempts: 1/' stock-again.yaml | kubectl apply --filename -
