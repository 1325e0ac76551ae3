sed 's/attempts: @{bad}/attempts: 0/' stock-again.yaml | kubectl apply --filename -
