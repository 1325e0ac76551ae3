kindlab answer @{lab}/caller destination_workload || true
