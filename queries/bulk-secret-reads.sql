-- title: Secrets and parameters read in bulk
-- question: Who read many different secrets or parameters within one hour?
-- param secrets integer = 10: different secrets at least
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1555.006 Credentials from Password Stores: Cloud Secrets Management Stores
WITH reads AS (
  SELECT actor, recipientaccountid, eventsource, sourceipaddress, eventtime, requestparameters
  FROM events
  WHERE outcome = 'success' AND eventtime > $since AND eventtime <= $until
    AND (eventsource = 'secretsmanager.amazonaws.com' AND eventname IN ('GetSecretValue', 'BatchGetSecretValue')
      OR eventsource = 'ssm.amazonaws.com' AND eventname IN ('GetParameter', 'GetParameters', 'GetParametersByPath',
        'GetParameterHistory'))
), each AS (
  SELECT actor, recipientaccountid, eventsource, sourceipaddress, eventtime,
         coalesce(requestparameters ->> 'secretId', requestparameters ->> 'name', requestparameters ->> 'path') AS secret
  FROM reads
  UNION ALL
  -- some calls ask for several at once
  SELECT actor, recipientaccountid, eventsource, sourceipaddress, eventtime,
         btrim(unnest(coalesce(json_get_array(requestparameters, 'names'), json_get_array(requestparameters, 'secretIdList'))),
         '"')
  FROM reads
)
SELECT date_trunc('hour', eventtime) AS hour, recipientaccountid, actor, eventsource, count(DISTINCT secret) AS secrets,
       count(DISTINCT sourceipaddress) AS addresses, min(eventtime) AS first_read, max(eventtime) AS last_read
FROM each
WHERE secret IS NOT NULL
GROUP BY date_trunc('hour', eventtime), recipientaccountid, actor, eventsource
HAVING count(DISTINCT secret) >= $secrets
ORDER BY secrets DESC, hour, recipientaccountid, actor, eventsource
LIMIT $limit
