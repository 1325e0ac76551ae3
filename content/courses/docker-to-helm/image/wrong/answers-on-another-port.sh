docker run --detach --name hello-@{attendee} --publish 127.0.0.1:@{nextPort}:3000 hello-@{attendee}:@{colour}
