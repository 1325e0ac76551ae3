sed -e '/sidecar.istio.io.inject/d' exit.yaml | kubectl apply --filename -
