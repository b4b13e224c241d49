-- title: Calls through VPC endpoints
-- question: Who called what through which VPC endpoint, and what did an endpoint's policy deny?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 1000: rows at most
SELECT actor, recipientaccountid, vpcendpointaccountid, vpcendpointid, eventsource, eventname, errorcode,
       count(*) AS events, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
-- AWS documents both spellings of the type, and writes either
WHERE (eventcategory = 'NetworkActivity' OR eventtype IN ('AwsVpceEvent', 'AwsVpceEvents'))
  AND eventtime > $since AND eventtime <= $until
GROUP BY actor, recipientaccountid, vpcendpointaccountid, vpcendpointid, eventsource, eventname, errorcode
ORDER BY events DESC, last_seen DESC, actor, eventsource, eventname, errorcode
LIMIT $limit
