sed '/filter_enforced/,$d' search.yaml | kubectl apply --filename -
