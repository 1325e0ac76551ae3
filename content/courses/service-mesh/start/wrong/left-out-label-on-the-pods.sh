kubectl label pods --selector app=backup sidecar.istio.io/inject=false
