kubectl patch telemetries.telemetry.istio.io access-log --type merge --patch '{"spec": {"accessLogging": [{"disabled": true}]}}'
sleep 6
kubectl exec deployment/client -c client -- /hello get -timeout 10s "http://web/api?trail=@{later}"
