docker rm --force hello-@{attendee}
docker run --detach --name hello-@{attendee} --publish 127.0.0.1:@{port}:3000 hello-@{attendee}:@{colour} --env MESSAGE=@{word}
docker wait hello-@{attendee}
