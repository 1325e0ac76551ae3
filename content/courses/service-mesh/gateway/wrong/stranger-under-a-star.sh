sed 's/- @{word}.@{attendee}.example/- "*.@{attendee}.example"/' door.yaml | kubectl apply --filename -
