-- title: First steps with a key
-- question: Which keys asked who they are, and what did they call next?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1033 System Owner/User Discovery
WITH asked AS (
  SELECT useridentity.accesskeyid AS accesskeyid, min(eventtime) AS asked_at, min(actor) AS actor,
         first_value(sourceipaddress ORDER BY eventtime, eventid) AS sourceipaddress, first_value(useragent ORDER BY eventtime,
         eventid) AS useragent
  FROM events
  WHERE eventsource = 'sts.amazonaws.com' AND eventname = 'GetCallerIdentity' AND useridentity.accesskeyid LIKE 'A%IA%'
    AND eventtime > $since AND eventtime <= $until
  GROUP BY useridentity.accesskeyid
)
SELECT asked_at, asked.actor, asked.accesskeyid, asked.sourceipaddress, asked.useragent,
       count(eventid) AS later_events, count(eventid) FILTER (WHERE outcome = 'denied') AS later_denied,
       first_value(eventname ORDER BY eventtime, eventid) AS next_call
FROM asked LEFT JOIN events ON events.useridentity.accesskeyid = asked.accesskeyid AND events.eventtime > asked.asked_at
  AND eventtime <= $until
GROUP BY asked_at, asked.actor, asked.accesskeyid, asked.sourceipaddress, asked.useragent
ORDER BY asked_at, asked.accesskeyid
LIMIT $limit
