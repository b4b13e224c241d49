-- title: Denied at the endpoint
-- question: Which calls did the policy of a VPC endpoint refuse, and whose were they?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1537 Transfer Data to Cloud Account
SELECT vpcendpointid, useridentity.accountid AS from_account, actor, eventsource, eventname, count(*) AS denied,
       count(DISTINCT sourceipaddress) AS addresses,
       min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE (errorcode = 'VpceAccessDenied' OR outcome = 'denied' AND errormessage LIKE '%VPC endpoint policy%') AND eventtime > $since
  AND eventtime <= $until
GROUP BY vpcendpointid, useridentity.accountid, actor, eventsource, eventname
ORDER BY denied DESC, vpcendpointid, from_account, actor, eventsource, eventname
LIMIT $limit
