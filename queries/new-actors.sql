-- title: Identities never seen before
-- question: Which identities appeared in the window for the first time, and what did they do first?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
SELECT actor, min(eventtime) AS first_seen, count(*) AS events, count(*) FILTER (WHERE outcome = 'denied') AS denied,
       first_value(recipientaccountid ORDER BY eventtime, eventid) AS first_account, first_value(eventname ORDER BY eventtime,
       eventid) AS first_call,
       first_value(sourceipaddress ORDER BY eventtime, eventid) AS first_address
FROM events
WHERE actor IS NOT NULL AND eventtime <= $until
GROUP BY actor
HAVING min(eventtime) > $since
ORDER BY first_seen, actor
LIMIT $limit
