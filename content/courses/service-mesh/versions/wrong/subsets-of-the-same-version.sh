sed 's/version: v2/version: v1/' menu-subsets.yaml | kubectl apply --filename -
