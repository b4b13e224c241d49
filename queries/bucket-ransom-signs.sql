-- title: Signs of buckets held to ransom
-- question: Where were versions switched off, objects set to expire, deleted or encrypted with a key from outside?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1486 Data Encrypted for Impact
SELECT eventtime, recipientaccountid, actor, eventname, outcome, requestparameters ->> 'bucketName' AS bucket,
       requestparameters ->> 'key' AS key,
       CASE WHEN eventname = 'PutBucketVersioning' THEN 'versions off' WHEN eventname LIKE 'PutBucketLifecycle%' THEN 'objects expire'
            WHEN eventname LIKE 'Delete%' THEN 'deleted' WHEN eventname LIKE 'PutBucket%' OR eventname = 'PutObjectRetention' THEN 'protection changed'
            ELSE 'key from outside' END AS sign,
       sourceipaddress, eventid
FROM events
WHERE eventsource = 's3.amazonaws.com' AND eventtime > $since AND eventtime <= $until
  AND (eventname = 'PutBucketVersioning' AND requestparameters LIKE '%"Suspended"%'
    OR eventname LIKE 'PutBucketLifecycle%' AND requestparameters LIKE '%"Expiration"%'
    OR eventname IN ('DeleteBucket', 'DeleteObjects', 'PutBucketObjectLockConfiguration', 'PutObjectRetention')
    OR eventname = 'PutBucketEncryption' AND NOT regexp_like(requestparameters, recipientaccountid)
    AND requestparameters LIKE '%arn:aws:kms:%'
    OR eventname IN ('PutObject', 'CopyObject') AND (requestparameters LIKE '%server-side-encryption-customer-algorithm%'
      OR additionaleventdata ->> 'SSEApplied' = 'SSE_C'))
ORDER BY eventtime, eventid
LIMIT $limit
