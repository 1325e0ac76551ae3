sed 's/maxConnections: 1/maxConnections: 100/' tickets.yaml | kubectl apply --filename -
