sed '/retries:/d; /attempts:/d' stock.yaml | kubectl apply --filename -
