sed 's/^  tcp:/  http:/' echo.yaml | kubectl apply --filename -
