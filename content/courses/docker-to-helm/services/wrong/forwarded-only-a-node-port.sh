cat >web-node.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata:
  name: web-node
spec:
  type: NodePort
  selector:
    app: web
  ports:
    - name: http
      port: 80
      targetPort: http
EOF
kubectl apply --filename web-node.yaml
