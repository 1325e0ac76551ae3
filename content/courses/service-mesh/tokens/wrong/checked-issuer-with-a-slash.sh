sed 's#https://login.example#https://login.example/#' users.yaml | kubectl apply --filename -
