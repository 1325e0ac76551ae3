sed 's/mirror: {host: greeter, subset: v2}/mirror: {host: greeter, subset: v3}/' greeter-mirror.yaml | kubectl apply --filename -
