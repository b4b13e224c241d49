-- title: Volume by service
-- question: Which services and accounts make up the log, day by day, and how much of it is text?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
SELECT event_date, recipientaccountid, eventsource, eventcategory, count(*) AS events, count(DISTINCT eventname) AS calls,
       count(DISTINCT actor) AS actors, count(*) FILTER (WHERE outcome <> 'success') AS failed,
       sum(coalesce(octet_length(requestparameters), 0) + coalesce(octet_length(responseelements), 0)) AS parameter_bytes
FROM events
WHERE eventtime > $since AND eventtime <= $until
GROUP BY event_date, recipientaccountid, eventsource, eventcategory
ORDER BY event_date DESC, events DESC, recipientaccountid, eventsource, eventcategory
LIMIT $limit
