-- title: The calls made most
-- question: Which calls make up the traffic, by how many identities, and how many of them fail?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 20: rows at most
SELECT eventsource, eventname, count(*) AS events, count(DISTINCT actor) AS actors,
       count(*) FILTER (WHERE outcome <> 'success') AS failed,
       count(*) FILTER (WHERE outcome = 'denied') AS denied
FROM events
WHERE eventtime > $since AND eventtime <= $until
GROUP BY eventsource, eventname
ORDER BY events DESC, eventsource, eventname
LIMIT $limit
