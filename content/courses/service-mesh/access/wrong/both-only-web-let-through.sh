sed 's/tier: front/app: web/' network.yaml | kubectl apply --filename -
