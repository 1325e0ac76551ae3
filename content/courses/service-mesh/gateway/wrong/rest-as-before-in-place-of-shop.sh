sed 's|exact: /api|prefix: /@{path}/|; s/host: shop/host: orders/; s/number: 80/number: 8080/; s|^      route:|      rewrite:\
        uri: /\
&|' front.yaml | kubectl apply --filename -
