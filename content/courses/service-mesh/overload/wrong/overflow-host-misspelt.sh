sed 's/host: tickets/host: ticket/' tickets.yaml | kubectl apply --filename -
