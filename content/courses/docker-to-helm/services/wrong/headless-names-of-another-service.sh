cat >web-service-pods.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata:
  name: web-service-pods
spec:
  clusterIP: None
  selector:
    app: web
  ports:
    - name: http
      port: 3000
      targetPort: 3000
EOF
kubectl apply --filename web-service-pods.yaml
