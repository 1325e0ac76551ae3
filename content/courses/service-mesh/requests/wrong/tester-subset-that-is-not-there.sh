sed 's/subset: v2/subset: v-2/' greeter.yaml | kubectl apply --filename -
