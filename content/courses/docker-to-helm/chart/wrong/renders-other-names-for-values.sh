sed 's/^  tag:/  version:/' greeter/values.yaml >changed.yaml
mv changed.yaml greeter/values.yaml
sed 's/image.tag/image.version/; s/.Values.message/.Values.greeting | default "@{word}"/; s/{{ .Values.colour | quote }}/"@{colour}"/' greeter/templates/deployment.yaml >changed.yaml
mv changed.yaml greeter/templates/deployment.yaml
sed 's/image.tag/image.version/' greeter/templates/NOTES.txt >changed.yaml
mv changed.yaml greeter/templates/NOTES.txt
