SELECT useridentity.arn, json_extract_scalar(requestparameters, '$.bucketName') AS bucket, sourceipaddress, count(*) AS n
FROM cloudtrail_logs
WHERE eventsource = 's3.amazonaws.com' AND eventname IN ('GetObject', 'HeadObject')
  AND json_extract_scalar(requestparameters, '$.bucketName') = 'logs'
GROUP BY 1, 2, 3 ORDER BY n DESC, 1, 3 LIMIT 5
