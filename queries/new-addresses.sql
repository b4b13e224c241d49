-- title: Addresses never used before
-- question: Which known identities came from an address, in the window, that they never used before?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
WITH seen AS (
  SELECT actor, sourceipaddress, min(eventtime) AS first_seen, count(*) FILTER (WHERE eventtime > $since) AS events,
         first_value(eventname ORDER BY eventtime, eventid) AS first_call, first_value(useragent ORDER BY eventtime,
         eventid) AS first_agent
  FROM events
  WHERE eventtime <= $until AND regexp_like(sourceipaddress, '^[0-9a-f:.]+$')
    -- inside a network addresses come and go
    AND NOT regexp_like(sourceipaddress, '^(10[.]|192[.]168[.]|172[.](1[6-9]|2[0-9]|3[01])[.]|f[cd])')
  GROUP BY actor, sourceipaddress
), known AS (
  SELECT actor, min(first_seen) AS known_since,
         count(*) FILTER (WHERE first_seen <= $since) AS old_addresses FROM seen GROUP BY actor
)
SELECT seen.actor, sourceipaddress, first_seen, first_call, first_agent, events, known_since, old_addresses
FROM seen JOIN known ON known.actor = seen.actor
WHERE first_seen > $since AND known_since <= $since
ORDER BY first_seen, seen.actor, sourceipaddress
LIMIT $limit
