SELECT "$path" AS object, count(*) AS n FROM "awsdatacatalog"."default"."cloudtrail_logs_pp"
WHERE "timestamp" BETWEEN '2026/03/01' AND '2026/03/31' AND eventname = 'StopLogging' GROUP BY 1 ORDER BY 1
