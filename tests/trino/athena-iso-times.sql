SELECT date_trunc('day', from_iso8601_timestamp(eventtime)) AS day, count(*) AS n
FROM cloudtrail_logs WHERE from_iso8601_timestamp(eventtime) > date_add('month', -1, from_iso8601_timestamp('2026-04-01T00:00:00Z'))
GROUP BY 1 ORDER BY 1
