sed 's/spec: {}/spec: {selector: {matchLabels: {app: web}}}/' nothing.yaml | kubectl apply --filename -
