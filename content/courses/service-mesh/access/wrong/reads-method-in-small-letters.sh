sed 's/"GET"/"get"/' reads.yaml | kubectl apply --filename -
