sed 's/labels: {app: search}/labels: {app: find}/' search.yaml | kubectl apply --filename -
