cat >Dockerfile <<'EOF'
FROM scratch
LABEL kindlab.attendee="@{attendee}" kindlab.lab="@{lab}"
WORKDIR /app
COPY hello .
ENV APP_COLOR="@{colour}" APP_VERSION="v1"
EXPOSE 3000
USER 65532:65532
ENTRYPOINT ["/app/hello"]
CMD serve
EOF
docker build --quiet --tag hello-@{attendee}:@{colour} .
