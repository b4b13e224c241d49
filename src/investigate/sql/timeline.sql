-- alike calls are one row: those at high stake and refused ones of ten minutes, others of a day
WITH calls AS (
  SELECT eventtime, events.eventid, recipientaccountid, awsregion, coalesce(actor_root, 'unknown') AS who, session_id,
         concat(split_part(eventsource, '.', 1), ':', eventname) AS api, outcome, errorcode, readonly, sourceipaddress,
         coalesce(source_org, source_country) AS network, agent_family,
         coalesce(CASE WHEN json_get_str(requestparameters, 'key') IS NOT NULL
                       THEN concat('s3://', json_get_str(requestparameters, 'bucketName'), '/',
                                   json_get_str(requestparameters, 'key')) END,
                  json_get_str(requestparameters, 'bucketName'), resources[1]['arn'],
                  json_get_str(requestparameters, 'roleArn'), json_get_str(requestparameters, 'roleName'),
                  json_get_str(requestparameters, 'userName'), json_get_str(requestparameters, 'functionName'),
                  json_get_str(requestparameters, 'secretId'), json_get_str(requestparameters, 'instanceId'),
                  json_get_str(requestparameters, 'groupId'), json_get_str(requestparameters, 'keyId'),
                  json_get_str(requestparameters, 'snapshotId'), json_get_str(requestparameters, 'name')) AS resource,
         api_stake(eventsource, eventname) AS stake, api_tactic(eventsource, eventname) AS tactic,
         marked.eventid IS NOT NULL AS marked, firsts.eventid IS NOT NULL AS first,
         CAST(floor(extract(epoch FROM eventtime)
                    / CASE WHEN api_stake(eventsource, eventname) >= 3 OR outcome IN ('denied', 'auth_failed') THEN 600 ELSE 86400 END)
              AS BIGINT) AS slot
  FROM events LEFT JOIN marked ON marked.eventid = events.eventid LEFT JOIN firsts ON firsts.eventid = events.eventid
), alike AS (
  SELECT min(eventtime) AS time, max(eventtime) AS until, count(*) AS events, recipientaccountid AS account, awsregion AS region,
         who, session_id, api, outcome, errorcode, first_value(resource ORDER BY eventtime, eventid) AS resource,
       count(DISTINCT resource) AS resources, sourceipaddress AS address, network, agent_family AS agent, tactic, stake,
       coalesce(NOT readonly, false) AS writes, bool_or(marked) AS marked, bool_or(first) AS first,
       coalesce(first_value(eventid ORDER BY eventtime, eventid), '') AS event_id
  FROM calls
  GROUP BY recipientaccountid, awsregion, who, session_id, api, outcome, errorcode, sourceipaddress, network, agent_family, tactic,
           stake, readonly, slot
)
SELECT * FROM alike
WHERE stake >= 2 OR writes OR outcome IN ('denied', 'auth_failed') OR marked OR first
ORDER BY marked DESC, stake DESC, first DESC, time, event_id
LIMIT 20000
