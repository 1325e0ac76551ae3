kubectl patch telemetries.telemetry.istio.io access-log --type merge --patch '{"spec": {"accessLogging": [{"disabled": true}]}}'
sleep 6
kubectl exec deployment/client -c client -- /hello get "http://web/api?trail=@{later}"
