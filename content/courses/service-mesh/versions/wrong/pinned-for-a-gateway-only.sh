sed 's/^  http:/  gateways:\
    - front\
&/' menu.yaml | kubectl apply --filename -
