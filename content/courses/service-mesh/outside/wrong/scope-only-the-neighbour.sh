sed -e 's#"\./\*"#"istio-system/*"#' sidecar.yaml | kubectl apply --filename -
