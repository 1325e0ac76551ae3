sed 's/^      to:/    - to:/' reads.yaml | kubectl apply --filename -
