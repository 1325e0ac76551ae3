kubectl apply --filename menu.yaml
sed 's/subset: v1/subset: v2/; s/^  name: menu/&-v2/' menu.yaml | kubectl apply --filename -
