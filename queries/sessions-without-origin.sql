-- title: Temporary keys that nobody made
-- question: Which temporary keys were used without a record of the call that made them?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1550.001 Use Alternate Authentication Material: Application Access Token
WITH made AS (
  SELECT DISTINCT responseelements -> 'credentials' ->> 'accessKeyId' AS accesskeyid
  FROM events
  WHERE eventsource = 'sts.amazonaws.com' AND outcome = 'success'
)
SELECT useridentity.accesskeyid AS accesskeyid, min(actor) AS actor, min(recipientaccountid) AS recipientaccountid,
       count(*) AS events,
       count(DISTINCT sourceipaddress) AS addresses, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE useridentity.accesskeyid LIKE 'ASIA%' AND eventtime > $since AND eventtime <= $until
  -- machines, the console and services get theirs without a call that is logged
  AND useridentity.invokedby IS NULL AND sessioncredentialfromconsole IS NULL
  AND useridentity.sessioncontext.ec2roledelivery IS NULL
  AND useridentity.accesskeyid NOT IN (SELECT accesskeyid FROM made WHERE accesskeyid IS NOT NULL)
GROUP BY useridentity.accesskeyid
ORDER BY events DESC, first_seen, accesskeyid
LIMIT $limit
