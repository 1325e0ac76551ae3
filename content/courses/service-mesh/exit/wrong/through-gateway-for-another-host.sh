sed -e 's/^        - bank.out/        - bnak.out/' bank.yaml | kubectl apply --filename -
