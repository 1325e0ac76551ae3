sed 's/{{ .Values.image.tag }}/v1/' greeter/templates/deployment.yaml >changed.yaml
mv changed.yaml greeter/templates/deployment.yaml
