sed -e 's/^spec:/spec:\n  workloadSelector: {labels: {app: web}}/' sidecar.yaml | kubectl apply --filename -
