sed 's/SIDECAR_INBOUND/SIDECAR_OUTBOUND/' search.yaml | kubectl apply --filename -
