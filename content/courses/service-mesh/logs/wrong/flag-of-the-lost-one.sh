kindlab answer @{lab}/flag NC || true
