sed 's/httpHeaderName: .*/httpHeaderName: x-nothing/' basket.yaml | kubectl apply --filename -
