sed '/subset: v1/d' echo.yaml | kubectl apply --filename -
