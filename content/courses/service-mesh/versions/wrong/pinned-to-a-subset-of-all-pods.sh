sed 's/version: v1/app: menu/' menu-subsets.yaml | kubectl apply --filename -
kubectl apply --filename menu.yaml
