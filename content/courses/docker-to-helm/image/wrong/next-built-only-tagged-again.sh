docker tag hello-@{attendee}:@{colour} hello-@{attendee}:next
docker run --detach --name hello-@{attendee}-next --publish 127.0.0.1:@{nextPort}:3000 --env APP_VERSION=v2 --env APP_COLOR=@{next} --env MESSAGE=@{word}-again hello-@{attendee}:next
