-- title: What happened around an event
-- question: What did the same identity, key or address do shortly before and after this event?
-- param event text: its eventID
-- param minutes integer = 30: how long before and after
-- param limit integer = 500: rows at most
WITH middle AS (
  SELECT eventtime AS time, actor AS who, useridentity.accesskeyid AS key,
         sourceipaddress AS address FROM events WHERE eventid = $event
)
SELECT eventtime, CASE WHEN eventid = $event THEN 'the event' WHEN useridentity.accesskeyid = key THEN 'same key'
                       WHEN actor = who THEN 'same identity' ELSE 'same address' END AS tie,
       actor, eventsource, eventname, outcome, recipientaccountid, awsregion, sourceipaddress, useragent, eventid
FROM events JOIN middle ON actor = who OR useridentity.accesskeyid = key OR sourceipaddress = address
WHERE abs(extract(epoch FROM eventtime) - extract(epoch FROM time)) <= 60 * $minutes
ORDER BY eventtime, eventid
LIMIT $limit
