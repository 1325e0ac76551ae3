sed 's#"\*"#"https://login.example"#' signed-in.yaml | kubectl apply --filename -
