-- title: Denied first, allowed later
-- question: Which calls were refused to an identity and worked for it afterwards?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 100: rows at most
-- attack: T1098.003 Account Manipulation: Additional Cloud Roles
WITH calls AS (
  SELECT actor, recipientaccountid, eventsource, eventname,
         min(eventtime) FILTER (WHERE outcome = 'denied') AS first_denied,
         count(*) FILTER (WHERE outcome = 'denied') AS denied
  FROM events
  WHERE actor IS NOT NULL AND eventtime > $since AND eventtime <= $until
  GROUP BY actor, recipientaccountid, eventsource, eventname
  HAVING count(*) FILTER (WHERE outcome = 'denied') > 0
)
SELECT calls.actor, calls.recipientaccountid, calls.eventsource, calls.eventname, calls.denied, calls.first_denied,
       min(e.eventtime) AS first_allowed, count(*) AS allowed
FROM calls JOIN events e ON e.actor = calls.actor AND (e.recipientaccountid IS NOT DISTINCT FROM calls.recipientaccountid)
  AND e.eventsource = calls.eventsource AND e.eventname = calls.eventname AND e.eventtime > calls.first_denied
WHERE e.outcome = 'success' AND e.eventtime > $since AND e.eventtime <= $until
GROUP BY calls.actor, calls.recipientaccountid, calls.eventsource, calls.eventname, calls.denied, calls.first_denied
ORDER BY first_allowed, calls.actor, calls.eventsource, calls.eventname, calls.recipientaccountid
LIMIT $limit
