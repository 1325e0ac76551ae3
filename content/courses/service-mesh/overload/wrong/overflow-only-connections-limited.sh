sed '/http:/d; /http1MaxPendingRequests/d' tickets.yaml | kubectl apply --filename -
