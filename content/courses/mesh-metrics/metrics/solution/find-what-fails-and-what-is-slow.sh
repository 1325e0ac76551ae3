kindlab answer @{lab}/fails @{failing}
kindlab answer @{lab}/share @{bad}0
kindlab answer @{lab}/slow @{slow}
