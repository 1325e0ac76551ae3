kubectl exec deployment/client -c client -- /hello get "http://web/api?trail=@{trail}-@{number}"
sleep 2
kubectl apply --filename telemetry.yaml
