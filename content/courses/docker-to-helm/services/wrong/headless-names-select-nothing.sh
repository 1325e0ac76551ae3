cat >web-pods.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata:
  name: web-pods
spec:
  clusterIP: None
  selector:
    app: web-pods
  ports:
    - name: http
      port: 3000
      targetPort: 3000
EOF
kubectl apply --filename web-pods.yaml
