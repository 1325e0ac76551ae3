kubectl patch peerauthentication default --type merge --patch '
spec:
  selector:
    matchLabels:
      app: web
  mtls:
    mode: STRICT
  portLevelMtls:
    @{meter}:
      mode: PERMISSIVE
'
