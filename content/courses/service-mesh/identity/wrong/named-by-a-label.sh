kubectl create serviceaccount @{account}
kubectl patch deployment client --patch '{"spec": {"template": {"metadata": {"labels": {"account": "@{account}"}}}}}'
kubectl rollout status deployment/client --timeout=90s
