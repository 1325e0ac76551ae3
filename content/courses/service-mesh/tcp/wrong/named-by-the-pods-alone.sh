for v in v1 v2; do
  kubectl patch deployment echo-$v --patch '{"spec": {"template": {"spec": {"containers": [{"name": "hello", "ports": [{"containerPort": 9000, "name": "tcp-lines"}]}]}}}}'
done
kubectl patch service echo --patch '{"spec": {"ports": [{"port": @{port}, "targetPort": "tcp-lines"}]}}'
kubectl rollout status deployment/echo-v1 --timeout=60s
kubectl rollout status deployment/echo-v2 --timeout=60s
