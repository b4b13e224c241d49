-- title: Denials by identity and action
-- question: Who was refused which permission by what, how often, and has it worked since?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 100: rows at most
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
), allowed AS (
  SELECT actor, eventsource, eventname, max(eventtime) AS last_success
  FROM events
  WHERE outcome = 'success' AND eventtime > $since AND eventtime <= $until
  GROUP BY actor, eventsource, eventname
)
SELECT d.actor, d.action, d.policy_type, d.how, count(*) AS denied, count(DISTINCT d.sourceipaddress) AS addresses,
       min(d.eventtime) AS first_denied, max(d.eventtime) AS last_denied,
       bool_or(allowed.last_success > d.eventtime) AS allowed_later
FROM denials d LEFT JOIN allowed ON allowed.actor = d.actor AND allowed.eventsource = d.eventsource
  AND allowed.eventname = d.eventname
GROUP BY d.actor, d.action, d.policy_type, d.how
ORDER BY denied DESC, d.actor, d.action, d.policy_type, d.how
LIMIT $limit
