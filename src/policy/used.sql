-- what worked, or failed for a reason other than a missing permission; a service that calls for somebody needs theirs
SELECT eventsource, eventname,
       CASE WHEN eventsource = 's3.amazonaws.com' AND json_get_str(requestparameters, 'bucketName') IS NOT NULL
            THEN concat('arn:aws:s3:::', json_get_str(requestparameters, 'bucketName'),
                        CASE WHEN json_get_str(requestparameters, 'key') IS NOT NULL THEN '/*' ELSE '' END)
            ELSE resources[1]['arn'] END AS resource,
       count(*) AS events, min(eventtime) AS first, max(eventtime) AS last
FROM events_by_actor
WHERE (actor IN (SELECT name FROM names) OR actor_root IN (SELECT name FROM names))
  AND outcome NOT IN ('denied', 'auth_failed') AND eventtime >= $from AND eventtime < $to
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
LIMIT 50000
