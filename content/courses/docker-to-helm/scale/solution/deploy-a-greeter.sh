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
      tier: front
  template:
    metadata:
      labels:
        app: greeter
        tier: front
    spec:
      containers:
        - name: hello
          image: @{registry}/hello:v2
          imagePullPolicy: IfNotPresent
          env:
            - name: MESSAGE
              value: "@{word}"
          ports:
            - name: http
              containerPort: 3000
          readinessProbe:
            httpGet:
              path: /readyz
              port: http
            periodSeconds: 1
          resources:
            requests:
              cpu: 10m
              memory: 16Mi
EOF
kubectl apply --filename greeter.yaml
kubectl rollout status deployment/greeter --timeout=60s
