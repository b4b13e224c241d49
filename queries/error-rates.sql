-- title: What fails
-- question: Which calls fail with which error, how often compared to all calls of that name?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 100: rows at most
WITH calls AS (
  SELECT eventsource, eventname, count(*) AS events FROM events WHERE eventtime > $since
         AND eventtime <= $until GROUP BY eventsource, eventname
), failures AS (
  SELECT eventsource, eventname, outcome, coalesce(errorcode, errormessage, 'none') AS error, count(*) AS failed,
         count(DISTINCT actor) AS actors
  FROM events
  WHERE outcome <> 'success' AND eventtime > $since AND eventtime <= $until
  GROUP BY 1, 2, 3, 4
)
SELECT f.eventsource, f.eventname, f.outcome, f.error, f.failed, calls.events, round(f.failed * 100.0 / calls.events,
       1) AS percent, f.actors
FROM failures f JOIN calls ON calls.eventsource = f.eventsource AND calls.eventname = f.eventname
ORDER BY failed DESC, f.eventsource, f.eventname, f.error, f.outcome
LIMIT $limit
