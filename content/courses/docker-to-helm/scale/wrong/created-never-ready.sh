cat >web.yaml <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
        - name: hello
          image: @{registry}/hello:v1
          imagePullPolicy: IfNotPresent
          env:
            - {name: APP_COLOR, value: "@{colour}"}
          readinessProbe:
            httpGet: {path: /ready, port: 3000}
            periodSeconds: 1
          resources:
            requests: {cpu: 10m, memory: 16Mi}
EOF
kubectl apply --filename web.yaml
sleep 5
