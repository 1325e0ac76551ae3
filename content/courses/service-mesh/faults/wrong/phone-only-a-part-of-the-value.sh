sed 's/regex: ".*"/regex: "@{phone}"/' phone.yaml | kubectl apply --filename -
