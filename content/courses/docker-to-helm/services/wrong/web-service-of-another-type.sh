cat >web.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: NodePort
  selector:
    app: web
  ports:
    - name: http
      port: @{front}
      targetPort: 3000
EOF
kubectl apply --filename web.yaml
