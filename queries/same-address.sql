-- title: Others on the same address
-- question: Which other identities came from the addresses of this identity?
-- param actor text: the identity as in the column actor
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
WITH addresses AS (
  SELECT DISTINCT sourceipaddress AS address FROM events
  -- names of services, and what AWS does itself, are no address of anybody
  WHERE actor = $actor AND eventtime > $since AND eventtime <= $until AND regexp_like(sourceipaddress, '^[0-9a-f:.]+$')
)
SELECT sourceipaddress, actor, count(*) AS events, count(*) FILTER (WHERE outcome = 'denied') AS denied,
       count(DISTINCT useridentity.accesskeyid) AS keys, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events JOIN addresses ON sourceipaddress = address
WHERE actor <> $actor AND eventtime > $since AND eventtime <= $until
GROUP BY sourceipaddress, actor
ORDER BY sourceipaddress, first_seen, actor
LIMIT $limit
