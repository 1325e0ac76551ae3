sed 's/^CMD.*/CMD serve/' Dockerfile >changed
mv changed Dockerfile
docker build --quiet --tag hello-@{attendee}:@{colour} .
