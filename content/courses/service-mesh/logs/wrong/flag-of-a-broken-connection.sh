kindlab answer @{lab}/flag UF || true
