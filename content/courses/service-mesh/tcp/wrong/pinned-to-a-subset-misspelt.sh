sed 's/subset: v1/subset: version1/' echo.yaml | kubectl apply --filename -
