sed -e 's/^ENV .*/ENV APP_COLOR="@{next}" APP_VERSION="v1" MESSAGE="@{word}-again"/' Dockerfile >Dockerfile.next
docker build --quiet --tag hello-@{attendee}:next --file Dockerfile.next .
