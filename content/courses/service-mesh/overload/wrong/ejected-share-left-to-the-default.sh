sed '/maxEjectionPercent/d' prices.yaml | kubectl apply --filename -
