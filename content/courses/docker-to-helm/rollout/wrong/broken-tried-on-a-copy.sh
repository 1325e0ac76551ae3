kubectl create deployment broken --image=@{registry}/hello:broken
sleep 3
