sed -e 's/name: back/name: front/' -e 's/hosts: .back./hosts: [front]/' -e 's/host: back/host: front/' delay.yaml | kubectl apply --filename -
