docker run --detach --name hello-@{attendee} --publish 127.0.0.1:@{port}:80 hello-@{attendee}:@{colour}
