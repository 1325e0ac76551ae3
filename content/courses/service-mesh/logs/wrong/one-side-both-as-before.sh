kubectl exec deployment/client -c client -- /hello get -timeout 10s "http://web/api?trail=@{later}"
