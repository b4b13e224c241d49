-- title: Machines started
-- question: Who started how many machines of which type where, or was refused?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1496.001 Resource Hijacking: Compute Hijacking
SELECT actor, recipientaccountid, awsregion, requestparameters ->> 'instanceType' AS instance_type,
       sum(CASE WHEN outcome = 'success' THEN coalesce(json_length(responseelements, 'instancesSet', 'items'),
       1) ELSE 0 END) AS instances,
       count(*) FILTER (WHERE outcome = 'success') AS calls, count(*) FILTER (WHERE outcome NOT IN ('success',
       'dry_run')) AS failed,
       min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE eventsource = 'ec2.amazonaws.com' AND eventname = 'RunInstances' AND useridentity.invokedby IS NULL AND eventtime > $since
  AND eventtime <= $until
GROUP BY actor, recipientaccountid, awsregion, requestparameters ->> 'instanceType'
ORDER BY instances DESC, failed DESC, actor, recipientaccountid, awsregion, instance_type
LIMIT $limit
