sed -e 's/- weather.far/- weather.far-@{attendee}\n    - news.far/' weather.yaml | kubectl apply --filename -
