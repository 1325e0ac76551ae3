sed -e 's#"\./\*"#"*/*"#' sidecar.yaml | kubectl apply --filename -
