kubectl apply --filename telemetry.yaml
sleep 5
kubectl exec deployment/client -c client -- /hello get "http://web/api?trail=@{trail}"
