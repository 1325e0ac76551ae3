cat >web.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
  ports:
    - name: http
      port: @{front}
      targetPort: 80
EOF
kubectl apply --filename web.yaml
