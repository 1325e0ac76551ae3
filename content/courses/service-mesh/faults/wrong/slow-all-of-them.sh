sed 's/value: 50/value: 100/' delay.yaml | kubectl apply --filename -
