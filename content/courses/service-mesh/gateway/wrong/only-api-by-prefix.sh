sed 's/exact:/prefix:/' front.yaml | kubectl apply --filename -
