docker run --rm --env MESSAGE=@{word} hello-@{attendee}:@{colour} once @{word}
