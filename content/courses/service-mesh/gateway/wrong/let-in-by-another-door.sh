sed 's/- door/- front-door/' door.yaml | kubectl apply --filename -
