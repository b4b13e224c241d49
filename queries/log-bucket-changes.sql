-- title: Changes of the bucket that holds the logs
-- question: What was changed on a bucket, or deleted from it, by anybody?
-- param bucket text: name of the bucket
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1485 Data Destruction
SELECT eventtime, recipientaccountid, actor, eventname, outcome, requestparameters ->> 'key' AS key, sourceipaddress,
       requestparameters, eventid
FROM events
WHERE eventsource = 's3.amazonaws.com' AND requestparameters ->> 'bucketName' = $bucket AND eventtime > $since
  AND eventtime <= $until
  -- the delivery itself, and reading, change nothing that was there
  AND regexp_like(eventname, '^(Delete|Put|Create|Restore|Update)') AND eventname NOT IN ('PutObject', 'CreateMultipartUpload')
ORDER BY eventtime, eventid
LIMIT $limit
