sed 's/{exact: @{tester}}/{regex: ".+"}/' greeter.yaml | kubectl apply --filename -
