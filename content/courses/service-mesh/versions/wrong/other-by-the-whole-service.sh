kubectl apply --filename menu.yaml
sed '/subset:/d' menu.yaml | kubectl apply --filename -
