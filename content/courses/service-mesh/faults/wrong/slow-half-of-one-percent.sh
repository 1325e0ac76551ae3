sed 's/value: 50/value: 0.5/' delay.yaml | kubectl apply --filename -
