sed 's/"@{colour}"/"@{next}"/' Dockerfile >changed
mv changed Dockerfile
docker build --quiet --tag hello-@{attendee}:@{colour} .
