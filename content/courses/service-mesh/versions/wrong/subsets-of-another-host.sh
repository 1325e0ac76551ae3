sed 's/host: menu/host: menus/' menu-subsets.yaml | kubectl apply --filename -
