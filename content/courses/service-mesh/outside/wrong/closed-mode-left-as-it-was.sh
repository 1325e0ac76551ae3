sed -e 's/REGISTRY_ONLY/ALLOW_ANY/' sidecar.yaml | kubectl apply --filename -
