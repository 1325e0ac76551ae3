sed -e '/outboundTrafficPolicy/d' -e '/REGISTRY_ONLY/d' sidecar.yaml | kubectl apply --filename -
