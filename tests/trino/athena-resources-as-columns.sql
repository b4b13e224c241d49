SELECT t.arn, accountid AS owner, cloudtrail_logs.eventname FROM cloudtrail_logs CROSS JOIN UNNEST(resources) AS t (arn, accountid, type)
WHERE t.type IS NOT NULL ORDER BY 1, 2, 3 LIMIT 5
