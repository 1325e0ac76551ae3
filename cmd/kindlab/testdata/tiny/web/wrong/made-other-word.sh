kubectl create configmap mine --from-literal=word=other
