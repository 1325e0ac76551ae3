sed 's/value: @{share}/value: 0.@{share}/' abort.yaml | kubectl apply --filename -
