sed 's#issuer: .*#&\n      fromHeaders: [{name: x-token}]#' users.yaml | kubectl apply --filename -
