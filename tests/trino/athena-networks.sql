SELECT sourceipaddress, if(contains('203.0.113.0/24', try_cast(sourceipaddress AS ipaddress)), 'ours', 'other') AS whose, count(*) AS n
FROM cloudtrail_logs WHERE sourceipaddress LIKE '%.%.%.%' AND eventname = 'ConsoleLogin' GROUP BY 1, 2 ORDER BY n DESC, 1 LIMIT 5
