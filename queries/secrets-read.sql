-- title: Secrets and parameters read
-- question: Who read how many different secrets, and from where?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 50: rows at most
-- attack: T1555.006 Credentials from Password Stores: Cloud Secrets Management Stores
WITH reads AS (
  SELECT actor, sourceipaddress, eventsource, outcome, eventtime,
         coalesce(requestparameters ->> 'secretId', requestparameters ->> 'name', requestparameters ->> 'path',
                  requestparameters ->> 'names', requestparameters ->> 'secretIdList') AS secret
  FROM events
  WHERE (eventsource = 'secretsmanager.amazonaws.com' AND eventname IN ('GetSecretValue', 'BatchGetSecretValue')
      OR eventsource = 'ssm.amazonaws.com' AND eventname IN ('GetParameter', 'GetParameters', 'GetParametersByPath'))
    AND eventtime > $since AND eventtime <= $until
)
SELECT actor, eventsource, count(DISTINCT secret) FILTER (WHERE outcome = 'success') AS secrets,
       count(*) FILTER (WHERE outcome = 'success') AS reads, count(*) FILTER (WHERE outcome <> 'success') AS failed,
       count(DISTINCT sourceipaddress) AS addresses, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM reads
GROUP BY actor, eventsource
ORDER BY secrets DESC, reads DESC, actor, eventsource
LIMIT $limit
