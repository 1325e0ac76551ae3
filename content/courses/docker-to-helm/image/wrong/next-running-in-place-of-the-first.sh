sed -e 's/^ENV .*/ENV APP_COLOR="@{next}" APP_VERSION="v2" MESSAGE="@{word}-again"/' Dockerfile >Dockerfile.next
docker build --quiet --tag hello-@{attendee}:next --file Dockerfile.next .
docker rm --force hello-@{attendee}
docker run --detach --name hello-@{attendee} --publish 127.0.0.1:@{nextPort}:3000 hello-@{attendee}:next
