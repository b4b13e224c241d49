-- title: Things opened to the world
-- question: Which buckets, networks, images, snapshots and functions did someone open to everybody?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.007 Impair Defenses: Disable or Modify Cloud Firewall
WITH changes AS (
  SELECT *, requestparameters ->> 'bucketName' AS bucket,
         -- one statement may stand without brackets
         coalesce(json_get_array(requestparameters, 'bucketPolicy', 'Statement'),
                  make_array(json_get_json(requestparameters, 'bucketPolicy', 'Statement'))) AS statements
  FROM events
  WHERE outcome = 'success' AND eventtime > $since AND eventtime <= $until
    AND eventname IN ('PutBucketPolicy', 'PutBucketAcl', 'PutObjectAcl', 'DeleteBucketPublicAccessBlock',
      'PutBucketPublicAccessBlock', 'DeleteAccountPublicAccessBlock', 'PutAccountPublicAccessBlock',
      'AuthorizeSecurityGroupIngress', 'ModifySnapshotAttribute', 'ModifyImageAttribute', 'ModifyDBSnapshotAttribute',
      'ModifyDBClusterSnapshotAttribute', 'AddPermission20150331v2')
), allowed AS (
  SELECT DISTINCT eventid FROM (SELECT eventid, unnest(statements) AS statement FROM changes WHERE eventname = 'PutBucketPolicy')
  WHERE statement ->> 'Effect' = 'Allow'
    AND (statement ->> 'Principal' = '*' OR statement -> 'Principal' ->> 'AWS' = '*'
      OR array_has(json_get_array(statement, 'Principal', 'AWS'), '"*"'))
)
SELECT eventtime, recipientaccountid, awsregion, actor, eventname,
       coalesce(bucket, requestparameters ->> 'groupId', requestparameters ->> 'snapshotId', requestparameters ->> 'imageId',
                requestparameters ->> 'dBSnapshotIdentifier', requestparameters ->> 'dBClusterSnapshotIdentifier',
                requestparameters ->> 'functionName') AS resource,
       sourceipaddress, eventid
FROM changes
WHERE CASE
  WHEN eventname = 'PutBucketPolicy' THEN eventid IN (SELECT eventid FROM allowed)
  WHEN eventname IN ('PutBucketAcl', 'PutObjectAcl') THEN requestparameters LIKE '%global/AllUsers%'
    OR requestparameters LIKE '%global/AuthenticatedUsers%' OR requestparameters LIKE '%"public-read%'
  WHEN eventname IN ('DeleteBucketPublicAccessBlock', 'DeleteAccountPublicAccessBlock') THEN true
  WHEN eventname IN ('PutBucketPublicAccessBlock', 'PutAccountPublicAccessBlock') THEN requestparameters LIKE '%false%'
  WHEN eventname = 'AuthorizeSecurityGroupIngress' THEN requestparameters LIKE '%"0.0.0.0/0"%' OR requestparameters LIKE '%"::/0"%'
  WHEN eventname = 'AddPermission20150331v2' THEN requestparameters ->> 'principal' = '*'
  ELSE requestparameters LIKE '%"all"%'
END
ORDER BY eventtime, eventid
LIMIT $limit
