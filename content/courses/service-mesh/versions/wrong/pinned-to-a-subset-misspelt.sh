sed 's/subset: v1/subset: version1/' menu.yaml | kubectl apply --filename -
