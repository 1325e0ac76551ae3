sed '/- name: phone/,/host: back/{/match:/d; /- headers:/d; /user-agent:/d}' phone.yaml | kubectl apply --filename -
