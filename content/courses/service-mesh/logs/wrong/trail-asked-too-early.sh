kubectl exec deployment/client -c client -- /hello get -timeout 10s "http://web/api?trail=@{trail}-@{number}"
sleep 2
kubectl apply --filename telemetry.yaml
