sed '/^USER/d' Dockerfile >changed
mv changed Dockerfile
docker build --quiet --tag hello-@{attendee}:@{colour} .
