-- title: New access keys
-- question: Which long-lived keys were made, by whom for whom, and when were they first used from where?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1098.001 Account Manipulation: Additional Cloud Credentials
WITH made AS (
  SELECT eventtime, recipientaccountid, actor, sourceipaddress, eventid,
         coalesce(responseelements -> 'accessKey' ->> 'userName', requestparameters ->> 'userName') AS for_user,
         responseelements -> 'accessKey' ->> 'accessKeyId' AS accesskeyid
  FROM events
  WHERE eventname = 'CreateAccessKey' AND outcome = 'success' AND eventtime > $since AND eventtime <= $until
), uses AS (
  SELECT useridentity.accesskeyid AS accesskeyid, min(eventtime) AS first_use, count(*) AS events,
         first_value(sourceipaddress ORDER BY eventtime, eventid) AS first_address
  FROM events
  WHERE useridentity.accesskeyid LIKE 'AKIA%'
  GROUP BY useridentity.accesskeyid
)
SELECT made.eventtime, made.recipientaccountid, made.actor, made.sourceipaddress, made.for_user, made.accesskeyid,
       uses.first_use, uses.first_address, coalesce(uses.events, 0) AS events, made.eventid
FROM made LEFT JOIN uses ON made.accesskeyid = uses.accesskeyid
ORDER BY made.eventtime, made.eventid
LIMIT $limit
