sed 's/subset: v1/subset: v2/' menu.yaml | kubectl apply --filename -
