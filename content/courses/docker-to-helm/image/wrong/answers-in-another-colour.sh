docker run --detach --name hello-@{attendee} --publish 127.0.0.1:@{port}:3000 --env APP_COLOR=@{next} hello-@{attendee}:@{colour}
