sed 's#/ns/@{ns}/#/ns/default/#' reads.yaml | kubectl apply --filename -
