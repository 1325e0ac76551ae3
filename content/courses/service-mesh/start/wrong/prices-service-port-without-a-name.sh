sed '/name: http$/d; s/- port/port/; s/^      port: 80/    - port: 80/' prices.yaml | kubectl apply --filename -
