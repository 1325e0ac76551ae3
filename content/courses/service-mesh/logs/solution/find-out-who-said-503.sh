kindlab answer @{lab}/who @{own}
kindlab answer @{lab}/nowhere @{lost}
kindlab answer @{lab}/flag UH
