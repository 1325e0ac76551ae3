sed 's/fixedDelay: @{delay}ms/fixedDelay: 250ms/' delay.yaml | kubectl apply --filename -
