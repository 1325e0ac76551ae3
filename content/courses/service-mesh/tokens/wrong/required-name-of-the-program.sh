sed 's/requestPrincipals/principals/' signed-in.yaml | kubectl apply --filename -
