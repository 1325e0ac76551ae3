sed 's/hosts: .stock./hosts: [report]/' stock.yaml | kubectl apply --filename -
