kindlab answer @{lab}/caller source_workload
