mkdir -p greeter/templates
cat >greeter/Chart.yaml <<'EOF'
apiVersion: v2
name: greeter
description: A web application that greets
type: application
version: 0.1.0
appVersion: v1
EOF
cat >greeter/values.yaml <<'EOF'
replicas: 1
image:
  repository: @{registry}/hello
  tag: v1
message: Hello
colour: slate
service:
  port: 80
EOF
cat >greeter/templates/deployment.yaml <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels:
    app: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      app: {{ .Release.Name }}
  template:
    metadata:
      labels:
        app: {{ .Release.Name }}
    spec:
      containers:
        - name: hello
          image: "{{ .Values.image.repository }}:v1"
          imagePullPolicy: IfNotPresent
          env:
            - name: MESSAGE
              value: {{ .Values.message | quote }}
            - name: APP_COLOR
              value: {{ .Values.colour | quote }}
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
cat >greeter/templates/NOTES.txt <<'EOF'
{{ .Chart.Name }} runs as {{ .Release.Name }}, with {{ .Values.replicas }} pods of {{ .Values.image.tag }}.
Ask it from a pod: http://{{ .Release.Name }}:{{ .Values.service.port }}/api
EOF
