sed 's/- menu$/- menu.default/' menu.yaml | kubectl apply --filename -
