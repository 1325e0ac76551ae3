kubectl delete virtualservices.networking.istio.io shop
