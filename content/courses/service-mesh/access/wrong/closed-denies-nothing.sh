sed 's/spec: {}/spec: {action: DENY}/' nothing.yaml | kubectl apply --filename -
