cat >web-pods.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata:
  name: web-pods
spec:
  clusterIP: None
  selector:
    app: web
  ports:
    - name: http
      port: 80
      targetPort: 3000
EOF
kubectl apply --filename web-pods.yaml
