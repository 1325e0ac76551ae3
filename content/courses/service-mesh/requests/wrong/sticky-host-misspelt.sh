sed 's/host: basket/host: baskets/' basket.yaml | kubectl apply --filename -
