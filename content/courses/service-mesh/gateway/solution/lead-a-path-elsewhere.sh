cat > mine.yaml <<'EOF'
    - match:
        - uri:
            prefix: /@{path}/
      rewrite:
        uri: /
      route:
        - destination:
            host: orders
            port:
              number: 8080
EOF
cat front.yaml mine.yaml | kubectl apply --filename -
