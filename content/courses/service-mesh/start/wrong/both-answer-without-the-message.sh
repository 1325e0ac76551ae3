kubectl apply --filename prices.yaml
sed -n '/^kind: Deployment/,$p' prices.yaml | sed '1i apiVersion: apps/v1' |
  sed 's/v1$/v2/; s|apps/v2|apps/v1|; s/value: prices}/&\
            - {name: MESSAGE, value: "@{word}"}/' |
  sed '/name: MESSAGE/d' | kubectl apply --filename -
kubectl rollout status deployment/prices-v2 --timeout=60s
