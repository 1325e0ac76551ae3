{ cat front.yaml; sed -n '/^    - match:/,$p' front.yaml | sed 's|exact: /api|prefix: /@{path}/|; s/host: shop/host: orders/; s/number: 80/number: 8080/'; } |
  kubectl apply --filename -
