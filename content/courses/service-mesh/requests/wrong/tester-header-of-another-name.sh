sed 's/end-user:/x-user:/' greeter.yaml | kubectl apply --filename -
