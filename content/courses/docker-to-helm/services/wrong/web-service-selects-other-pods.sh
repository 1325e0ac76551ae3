cat >web.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: orders
  ports:
    - name: http
      port: @{front}
      targetPort: 3000
EOF
kubectl apply --filename web.yaml
