sed 's/timeout: @{limit}ms/timeout: 5s/' report.yaml | kubectl apply --filename -
