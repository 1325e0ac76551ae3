docker rm --force hello-@{attendee}
docker run --detach --name hello-@{attendee} --publish 127.0.0.1:@{port}:3000 --env HELLO_MESSAGE=@{word} hello-@{attendee}:@{colour}
