SELECT CAST(floor(extract(epoch FROM eventtime) / $step) AS BIGINT) AS step,
       count(*) FILTER (WHERE outcome = 'success') AS succeeded,
       count(*) FILTER (WHERE outcome IN ('denied', 'auth_failed')) AS denied,
       count(*) FILTER (WHERE outcome NOT IN ('success', 'denied', 'auth_failed')) AS failed
FROM events
GROUP BY 1
ORDER BY 1
LIMIT 1000
