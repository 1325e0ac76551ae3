sed -e '/annotations:/d' -e '/inject.istio.io/d' exit.yaml | kubectl apply --filename -
