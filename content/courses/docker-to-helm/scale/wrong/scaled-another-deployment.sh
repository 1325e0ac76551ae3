cat >hello.yaml <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
spec:
  replicas: @{replicas}
  selector:
    matchLabels:
      app: hello
  template:
    metadata:
      labels:
        app: hello
    spec:
      containers:
        - name: hello
          image: @{registry}/hello:v1
          imagePullPolicy: IfNotPresent
          env:
            - {name: APP_COLOR, value: "@{colour}"}
          readinessProbe:
            httpGet: {path: /readyz, port: 3000}
            periodSeconds: 1
          resources:
            requests: {cpu: 10m, memory: 16Mi}
EOF
kubectl apply --filename hello.yaml
kubectl rollout status deployment/hello --timeout=60s
