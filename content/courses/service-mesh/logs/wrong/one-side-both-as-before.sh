kubectl exec deployment/client -c client -- /hello get "http://web/api?trail=@{later}"
