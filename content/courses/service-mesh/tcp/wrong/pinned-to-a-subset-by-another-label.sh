sed 's/version: v1/release: v1/' echo.yaml | kubectl apply --filename -
