sed -e 's/- weather.far/- wether.far/' weather.yaml | kubectl apply --filename -
