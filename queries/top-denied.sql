-- title: What was denied most
-- question: Who was refused which call, how often, and since when?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 20: rows at most
-- attack: T1087.004 Account Discovery: Cloud Account
SELECT actor, eventsource, eventname, count(*) AS denied, count(DISTINCT sourceipaddress) AS addresses,
       min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE outcome = 'denied' AND eventtime > $since AND eventtime <= $until
GROUP BY actor, eventsource, eventname
ORDER BY denied DESC, actor, eventsource, eventname
LIMIT $limit
