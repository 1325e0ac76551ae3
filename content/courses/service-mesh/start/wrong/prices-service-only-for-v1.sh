sed '/^  selector:/{n;s/app: prices/&\
    version: v1/}' prices.yaml | kubectl apply --filename -
