kubectl apply --filename - <<'END'
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: "@{failing}"
spec:
  host: "@{failing}"
  subsets:
    - name: good
      labels: {version: v2}
    - name: broken
      labels: {version: "@{broken}"}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: "@{failing}"
spec:
  hosts: ["@{failing}"]
  http:
    - route:
        - destination: {host: "@{failing}", subset: broken}
END
