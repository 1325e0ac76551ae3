sed 's/{{ .Values.replicas }}/@{replicas}/' greeter/templates/deployment.yaml >changed.yaml
mv changed.yaml greeter/templates/deployment.yaml
