sed '/^kind: VirtualService/,$s/@{word}.@{attendee}.example/@{word}.example/' door.yaml | kubectl apply --filename -
