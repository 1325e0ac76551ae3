sed 's/port: @{port}/port: 9000/' echo.yaml | kubectl apply --filename -
