sed 's/value: 100/value: 1/' greeter-mirror.yaml | kubectl apply --filename -
