sed -e 's/name: access-log/name: acces-log/' telemetry.yaml | kubectl apply --filename -
