kindlab answer @{lab}/failures @{bad}0
