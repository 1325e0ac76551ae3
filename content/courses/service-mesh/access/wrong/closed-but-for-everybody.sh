sed 's/spec: {}/spec: {rules: [{}]}/' nothing.yaml | kubectl apply --filename -
