WITH calls AS (
  SELECT coalesce(concat('s3://', json_get_str(requestparameters, 'bucketName')), resources[1]['arn'],
                  json_get_str(requestparameters, 'roleArn'), json_get_str(requestparameters, 'roleName'),
                  json_get_str(requestparameters, 'userName'), json_get_str(requestparameters, 'functionName'),
                  json_get_str(requestparameters, 'secretId'), json_get_str(requestparameters, 'instanceId'),
                  json_get_str(requestparameters, 'groupId'), json_get_str(requestparameters, 'keyId'),
                  json_get_str(requestparameters, 'snapshotId'), json_get_str(requestparameters, 'policyArn'),
                  json_get_str(requestparameters, 'tableName'), json_get_str(requestparameters, 'name')) AS resource,
         coalesce(recipientaccountid, 'unknown') AS account, eventsource, eventname, readonly, outcome, eventtime
  FROM events
)
SELECT resource, account, split_part(eventsource, '.', 1) AS service,
       count(*) FILTER (WHERE outcome = 'success' AND readonly = false) AS changed,
       count(*) FILTER (WHERE outcome = 'success' AND readonly) AS read,
       count(*) FILTER (WHERE outcome IN ('denied', 'auth_failed')) AS denied, count(*) AS events,
       string_agg(DISTINCT eventname, ' ' ORDER BY eventname) FILTER (WHERE outcome = 'success' AND readonly = false) AS changes,
       min(eventtime) AS first, max(eventtime) AS last
FROM calls
WHERE resource IS NOT NULL
GROUP BY resource, account, eventsource
ORDER BY changed DESC, events DESC, resource, account, service
LIMIT 300
