sed 's/number: 80$/number: 3000/' door.yaml | kubectl apply --filename -
