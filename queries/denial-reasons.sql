-- title: Why calls were denied
-- question: Which kind of policy refused: of the organization, the boundary, the session, the resource or the identity?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 50: rows at most
WITH denials AS (
  SELECT actor, recipientaccountid, eventsource, eventname, eventtime, sourceipaddress, errormessage,
         coalesce(regexp_match(errormessage, 'not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9*]+)')[1],
                  split_part(eventsource, '.', 1) || ':' || eventname) AS action,
         CASE WHEN errorcode = 'VpceAccessDenied' THEN 'VPC endpoint policy'
              ELSE coalesce(regexp_match(errormessage, 'explicit deny in (?:an? |the )?([A-Za-z -]+(?:policy|boundary))')[1],
                            regexp_match(errormessage, 'because no ([A-Za-z -]+) allows')[1],
                            'not said') END AS policy_type,
         CASE WHEN errormessage LIKE '%explicit deny%' OR errorcode = 'VpceAccessDenied' THEN 'explicit'
              WHEN errormessage LIKE '%because no %' THEN 'implicit' ELSE 'not said' END AS how
  FROM events
  WHERE outcome = 'denied' AND eventtime > $since AND eventtime <= $until
)
SELECT policy_type, how, count(*) AS denied, count(DISTINCT actor) AS actors, count(DISTINCT action) AS actions,
       count(DISTINCT recipientaccountid) AS accounts, min(eventtime) AS first_seen, max(eventtime) AS last_seen,
       first_value(errormessage ORDER BY eventtime, errormessage) AS example
FROM denials
GROUP BY policy_type, how
ORDER BY denied DESC, policy_type, how
LIMIT $limit
