sed 's|/readyz|/ready|' web.yaml | kubectl apply --filename -
sleep 5
