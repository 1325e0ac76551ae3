sed '/APP_COLOR/,+1d' greeter/templates/deployment.yaml >changed.yaml
mv changed.yaml greeter/templates/deployment.yaml
