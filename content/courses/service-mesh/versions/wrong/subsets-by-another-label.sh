sed 's/version: v/release: v/' menu-subsets.yaml | kubectl apply --filename -
