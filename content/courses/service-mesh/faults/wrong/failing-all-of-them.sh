sed 's/value: @{share}/value: 100/' abort.yaml | kubectl apply --filename -
