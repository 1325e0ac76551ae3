kubectl set image deployment/hello hello=@{registry}/hello:v2
kubectl set env deployment/hello APP_COLOR=@{colour}
kubectl scale deployment hello --replicas=@{more}
kubectl rollout status deployment/hello --timeout=60s
