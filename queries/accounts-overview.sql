-- title: Accounts at a glance
-- question: Which accounts are in the lake, since when, how active, and how much of it fails?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
SELECT recipientaccountid, count(*) AS events, count(DISTINCT actor) AS actors, count(DISTINCT awsregion) AS regions,
       count(DISTINCT eventsource) AS services, count(*) FILTER (WHERE outcome = 'denied') AS denied,
       count(*) FILTER (WHERE useridentity.type = 'Root' AND useridentity.invokedby IS NULL) AS root_events,
       count(*) FILTER (WHERE eventname = 'ConsoleLogin' AND outcome = 'success') AS console_logins,
       min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE eventtime > $since AND eventtime <= $until
GROUP BY recipientaccountid
ORDER BY events DESC, recipientaccountid
LIMIT $limit
