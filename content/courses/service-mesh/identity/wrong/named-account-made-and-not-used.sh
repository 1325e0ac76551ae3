kubectl create serviceaccount @{account}
