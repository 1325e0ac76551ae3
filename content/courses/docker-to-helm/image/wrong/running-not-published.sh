docker run --detach --name hello-@{attendee} hello-@{attendee}:@{colour}
