docker build --quiet --tag hello-@{attendee} .
