sed -e 's/APP_VERSION="v1"/APP_VERSION="v0"/' Dockerfile >Dockerfile.other
docker build --quiet --tag hello-@{attendee}:other --file Dockerfile.other .
docker run --detach --name hello-@{attendee} --publish 127.0.0.1:@{port}:3000 hello-@{attendee}:other
