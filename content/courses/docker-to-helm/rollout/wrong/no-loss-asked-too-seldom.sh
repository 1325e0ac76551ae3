kubectl patch deployment api --patch '{"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}'
kubectl patch deployment watcher --type=json --patch '[{"op": "replace", "path": "/spec/template/spec/containers/0/args/4", "value": "6/m"}]'
kubectl rollout status deployment/watcher --timeout=60s
sleep 3
kubectl set image deployment/api hello=@{registry}/hello:v2
kubectl rollout status deployment/api --timeout=120s
sleep 10
