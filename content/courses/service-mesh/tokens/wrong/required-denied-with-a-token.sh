sed 's/ALLOW/DENY/' signed-in.yaml | kubectl apply --filename -
