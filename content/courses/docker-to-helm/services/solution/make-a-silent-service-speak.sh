kubectl patch service orders --type merge --patch '
spec:
  selector:
    app: orders
    tier: back
  ports:
    - port: 80
      targetPort: http
'
