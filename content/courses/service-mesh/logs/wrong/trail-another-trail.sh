kubectl apply --filename telemetry.yaml
sleep 5
kubectl exec deployment/client -c client -- /hello get -timeout 10s "http://web/api?trail=@{trail}"
