-- title: What is new about an identity
-- question: Which calls, regions, addresses and agents did this identity use in the window for the first time?
-- param actor text: the identity as in the column actor
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
WITH seen AS (
  SELECT eventtime, outcome, unnest(make_array('call', 'region', 'address', 'agent', 'account')) AS kind,
         unnest(make_array(eventsource || ' ' || eventname, awsregion, sourceipaddress, useragent, recipientaccountid)) AS value
  FROM events
  WHERE actor = $actor AND eventtime <= $until
)
SELECT kind, value, min(eventtime) AS first_seen, count(*) AS events, count(*) FILTER (WHERE outcome = 'success') AS succeeded
FROM seen
WHERE value IS NOT NULL
GROUP BY kind, value
HAVING min(eventtime) > $since
ORDER BY first_seen, kind, value
LIMIT $limit
