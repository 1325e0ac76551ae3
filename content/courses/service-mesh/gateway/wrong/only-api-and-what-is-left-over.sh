{ cat front.yaml; sed -n '/^      route:/,$p' front.yaml | sed 's/^      route/    - route/'; } | kubectl apply --filename -
