sed 's/timeout: @{limit}ms/timeout: 300ms/' report.yaml | kubectl apply --filename -
