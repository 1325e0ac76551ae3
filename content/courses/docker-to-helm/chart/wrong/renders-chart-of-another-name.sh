sed 's/^name: .*/name: hello/' greeter/Chart.yaml >changed.yaml
mv changed.yaml greeter/Chart.yaml
