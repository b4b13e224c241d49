SELECT 'object' AS what, json_get_str(requestparameters, 'bucketName') AS store, coalesce(recipientaccountid, 'unknown') AS account,
       count(*) AS reads, count(DISTINCT json_get_str(requestparameters, 'key')) AS items,
       CAST(sum(try_cast(additionaleventdata ->> 'bytesTransferredOut' AS DOUBLE)) AS BIGINT) AS bytes,
       min(eventtime) AS first, max(eventtime) AS last
FROM events
WHERE eventsource = 's3.amazonaws.com' AND eventname IN ('GetObject', 'SelectObjectContent', 'CopyObject', 'UploadPartCopy')
  AND outcome = 'success'
GROUP BY 2, 3
UNION ALL
SELECT CASE eventsource WHEN 'ssm.amazonaws.com' THEN 'parameter' ELSE 'secret' END,
       coalesce(json_get_str(requestparameters, 'secretId'), json_get_str(requestparameters, 'name'), eventname),
       coalesce(recipientaccountid, 'unknown'), count(*) AS reads, count(eventid) AS items, NULL, min(eventtime), max(eventtime)
FROM events
WHERE (eventsource = 'secretsmanager.amazonaws.com' AND eventname IN ('GetSecretValue', 'BatchGetSecretValue')
    OR eventsource = 'ssm.amazonaws.com' AND eventname IN ('GetParameter', 'GetParameters', 'GetParametersByPath'))
  AND outcome = 'success'
GROUP BY 1, 2, 3
UNION ALL
SELECT 'copy or share', coalesce(json_get_str(requestparameters, 'snapshotId'), json_get_str(requestparameters, 'dBSnapshotIdentifier'),
                json_get_str(requestparameters, 'imageId'), json_get_str(requestparameters, 'volumeId'),
                json_get_str(requestparameters, 'tableArn'), eventname),
       coalesce(recipientaccountid, 'unknown'), count(*) AS reads, count(eventid) AS items, NULL, min(eventtime), max(eventtime)
FROM events
WHERE outcome = 'success' AND eventname IN ('CreateSnapshot', 'CreateSnapshots', 'CopySnapshot', 'ModifySnapshotAttribute',
  'ModifyImageAttribute', 'CreateDBSnapshot', 'CopyDBSnapshot', 'ModifyDBSnapshotAttribute', 'StartExportTask',
  'ExportTableToPointInTime', 'GetObjectTorrent', 'CreateInstanceExportTask', 'ExportImage')
GROUP BY 2, 3
ORDER BY bytes DESC NULLS LAST, reads DESC, what, store, account
LIMIT 200
