sed 's/hosts: .report./hosts: [reports]/' report.yaml | kubectl apply --filename -
