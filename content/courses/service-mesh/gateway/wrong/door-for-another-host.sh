sed '1,/^---/s/@{word}.@{attendee}.example/@{word}.example/' door.yaml | kubectl apply --filename -
