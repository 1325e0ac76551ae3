kubectl delete destinationrules.networking.istio.io shop
