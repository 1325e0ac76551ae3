sed 's/app: shop/app: client/' users.yaml | kubectl apply --filename -
