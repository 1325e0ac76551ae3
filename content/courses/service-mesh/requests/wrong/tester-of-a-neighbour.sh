sed 's/exact: @{tester}/exact: somebody/' greeter.yaml | kubectl apply --filename -
