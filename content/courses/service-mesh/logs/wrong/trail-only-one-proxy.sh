sed -e 's/^spec:/spec:\n  selector: {matchLabels: {app: web}}/' telemetry.yaml | kubectl apply --filename -
sleep 5
kubectl exec deployment/client -c client -- /hello get "http://web/api?trail=@{trail}-@{number}"
