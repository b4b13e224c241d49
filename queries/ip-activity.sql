-- title: All about an address
-- question: Who called from this address, with which keys, and what came of it?
-- param ip text: the address as in the column sourceipaddress
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
SELECT actor, useridentity.accesskeyid AS accesskeyid, eventsource, eventname, outcome, count(*) AS events,
       min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE sourceipaddress = $ip AND eventtime > $since AND eventtime <= $until
GROUP BY actor, useridentity.accesskeyid, eventsource, eventname, outcome
ORDER BY first_seen, actor, accesskeyid, eventsource, eventname, outcome
LIMIT $limit
