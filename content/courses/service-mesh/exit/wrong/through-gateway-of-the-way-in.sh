sed -e 's/^    istio: exit-@{attendee}/    istio: ingressgateway/' bank.yaml | kubectl apply --filename -
