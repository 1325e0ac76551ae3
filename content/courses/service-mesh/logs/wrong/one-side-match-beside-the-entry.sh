kubectl patch telemetries.telemetry.istio.io access-log --type merge --patch '
spec:
  accessLogging:
    - match: {mode: SERVER}
      providers: [{name: envoy}]
    - providers: [{name: envoy}]
'
sleep 6
kubectl exec deployment/client -c client -- /hello get "http://web/api?trail=@{later}"
