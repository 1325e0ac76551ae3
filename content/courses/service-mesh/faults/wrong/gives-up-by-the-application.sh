kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: back
spec:
  hosts: [back]
  http:
    - fault:
        delay:
          percentage: {value: 100}
          fixedDelay: 2s
      route:
        - destination: {host: back}
END
kubectl set env deployment/front BACKEND_TIMEOUT=@{limit}ms
kubectl rollout status deployment/front --timeout=90s
