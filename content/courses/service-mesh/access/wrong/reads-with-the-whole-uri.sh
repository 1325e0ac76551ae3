sed 's#"cluster.local#"spiffe://cluster.local#' reads.yaml | kubectl apply --filename -
