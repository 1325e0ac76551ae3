sed '/^  gateways:/,/- door/d' door.yaml | kubectl apply --filename -
