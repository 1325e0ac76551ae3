sed 's/host: shop/host: shops/' door.yaml | kubectl apply --filename -
