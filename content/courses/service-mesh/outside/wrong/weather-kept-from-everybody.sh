sed -e 's/- "\."/- "~"/' weather.yaml | kubectl apply --filename -
