cat >greeter.yaml <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: greeter
spec:
  replicas: @{own}
  selector:
    matchLabels:
      app: greeter
  template:
    metadata:
      labels:
        app: greeter
    spec:
      containers:
        - name: hello
          image: @{registry}/hello:v2
          imagePullPolicy: IfNotPresent
          env:
            - {name: MESSAGE, value: "@{word}"}
          readinessProbe:
            httpGet: {path: /readyz, port: 3000}
            periodSeconds: 1
          resources:
            requests: {cpu: 10m, memory: 16Mi}
EOF
kubectl apply --filename greeter.yaml
kubectl rollout status deployment/greeter --timeout=60s
