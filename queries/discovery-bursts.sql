-- title: Looking around
-- question: Who made many different read-only calls within one hour, and how many were refused?
-- param calls integer = 30: different calls at least
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1526 Cloud Service Discovery
SELECT date_trunc('hour', eventtime) AS hour, recipientaccountid, actor, count(DISTINCT eventsource || eventname) AS calls,
       count(DISTINCT eventsource) AS services, count(DISTINCT awsregion) AS regions, count(*) AS events,
       count(*) FILTER (WHERE outcome = 'denied') AS denied, count(DISTINCT sourceipaddress) AS addresses
FROM events
WHERE regexp_like(eventname, '^(List|Describe|Get|Search|BatchGet|Lookup|Scan)') AND useridentity.invokedby IS NULL
  AND coalesce(managementevent, true) AND actor IS NOT NULL AND eventtime > $since AND eventtime <= $until
GROUP BY date_trunc('hour', eventtime), recipientaccountid, actor
HAVING count(DISTINCT eventsource || eventname) >= $calls
ORDER BY calls DESC, hour, recipientaccountid, actor
LIMIT $limit
