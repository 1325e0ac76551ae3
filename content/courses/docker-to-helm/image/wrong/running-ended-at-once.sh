docker run --detach --name hello-@{attendee} --publish 127.0.0.1:@{port}:3000 hello-@{attendee}:@{colour} once @{word}
docker wait hello-@{attendee}
