sed 's/PERMISSIVE/DISABLE/' peers.yaml | kubectl apply --filename -
