sed 's/app: shop/app: shopp/' signed-in.yaml | kubectl apply --filename -
