sed 's/app: orders/app: web/' reads.yaml | kubectl apply --filename -
