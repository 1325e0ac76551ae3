cat >production.yaml <<'EOF'
replicas: @{more}
image:
  tag: v2
message: @{word}
colour: @{colour}
EOF
helm upgrade hello greeter --values production.yaml --dry-run=server
