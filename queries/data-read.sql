-- title: Objects and bytes read
-- question: Who read how many objects and bytes from which bucket, where data events are recorded?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 100: rows at most
-- attack: T1530 Data from Cloud Storage
SELECT actor, requestparameters ->> 'bucketName' AS bucket, count(*) AS reads,
       count(DISTINCT requestparameters ->> 'key') AS objects,
       CAST(sum(try_cast(additionaleventdata ->> 'bytesTransferredOut' AS DOUBLE)) AS BIGINT) AS bytes,
       count(DISTINCT sourceipaddress) AS addresses, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE eventsource = 's3.amazonaws.com' AND eventname IN ('GetObject', 'SelectObjectContent', 'GetObjectTorrent')
  AND outcome = 'success' AND eventtime > $since AND eventtime <= $until
GROUP BY actor, requestparameters ->> 'bucketName'
ORDER BY bytes DESC NULLS LAST, reads DESC, actor, bucket
LIMIT $limit
