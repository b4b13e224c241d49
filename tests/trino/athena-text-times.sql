SELECT substr(eventtime, 1, 13) AS hour, count(*) AS n, min(split_part(eventtime, 'T', 2)) AS first
FROM cloudtrail_logs WHERE eventtime LIKE '2026-03-10%' AND eventtime >= '2026-03-10T05:00:00Z'
GROUP BY 1 ORDER BY 1 LIMIT 4
