kubectl patch service orders --type merge --patch '{"spec": {"selector": {"app": "orders", "tier": "back"}}}'
