sed 's/httpStatus: @{code}/httpStatus: 500/' abort.yaml | kubectl apply --filename -
