sed 's#"cluster.local/.*"#"web"#' reads.yaml | kubectl apply --filename -
