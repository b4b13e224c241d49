-- title: Calls never made before
-- question: Which calls did an account, known before, see in the window for the first time?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
WITH calls AS (
  SELECT recipientaccountid, eventsource, eventname, min(eventtime) AS first_seen, count(*) AS events,
         count(*) FILTER (WHERE outcome = 'success') AS succeeded,
         first_value(actor ORDER BY eventtime, eventid) AS first_actor, first_value(sourceipaddress ORDER BY eventtime,
         eventid) AS first_address
  FROM events
  WHERE eventtime <= $until
  GROUP BY recipientaccountid, eventsource, eventname
), accounts AS (
  SELECT recipientaccountid, min(first_seen) AS known_since FROM calls GROUP BY recipientaccountid
)
SELECT calls.recipientaccountid, eventsource, eventname, first_seen, first_actor, first_address, events, succeeded
FROM calls JOIN accounts ON accounts.recipientaccountid = calls.recipientaccountid
WHERE first_seen > $since AND known_since <= $since
ORDER BY first_seen, calls.recipientaccountid, eventsource, eventname
LIMIT $limit
