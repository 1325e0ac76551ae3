sed 's/^  tcp:/  gateways:\
    - front\
&/' echo.yaml | kubectl apply --filename -
