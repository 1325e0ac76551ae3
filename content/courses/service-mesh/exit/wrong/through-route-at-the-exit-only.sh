sed -e '/^    - mesh$/d' bank.yaml | kubectl apply --filename -
