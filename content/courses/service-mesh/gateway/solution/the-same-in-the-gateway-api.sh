kindlab answer @{lab}/precise "to the second, because it is more precise"
