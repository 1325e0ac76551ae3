{ cat front.yaml; sed -n '/^    - match:/,$p' front.yaml |
  sed 's|exact: /api|prefix: /@{path}/|; s/host: shop/host: orders/; s|^      route:|      rewrite:\
        uri: /\
&|'; } | kubectl apply --filename -
