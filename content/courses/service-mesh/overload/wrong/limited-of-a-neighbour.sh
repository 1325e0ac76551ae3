sed -e 's/max_tokens: @{most}/max_tokens: 16/' -e 's/tokens_per_fill: @{most}/tokens_per_fill: 16/' search.yaml | kubectl apply --filename -
