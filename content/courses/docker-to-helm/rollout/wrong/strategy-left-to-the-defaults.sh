kubectl patch deployment api --patch '{"spec": {"strategy": {"type": "RollingUpdate"}}}'
