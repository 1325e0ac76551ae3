sed -e 's/istio: exit-@{attendee}/istio: exit/' exit.yaml | kubectl apply --filename -
