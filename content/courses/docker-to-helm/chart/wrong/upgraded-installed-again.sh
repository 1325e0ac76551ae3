cat >production.yaml <<'EOF'
replicas: @{more}
image:
  tag: v2
message: @{word}
colour: @{colour}
EOF
helm uninstall hello --wait
helm install hello greeter --values production.yaml --wait --timeout 60s
