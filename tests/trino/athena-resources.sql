SELECT r.arn, r.type, count(*) AS n FROM cloudtrail_logs, UNNEST(resources) AS t (r)
GROUP BY r.arn, r.type ORDER BY n DESC, 1 LIMIT 5
