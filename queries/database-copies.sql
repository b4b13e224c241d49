-- title: Copies and exports of databases
-- question: Who copied, exported or restored databases, or reset their master password?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1213.006 Data from Information Repositories: Databases
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'dBInstanceIdentifier', requestparameters ->> 'dBClusterIdentifier',
       requestparameters ->> 'sourceArn',
                requestparameters ->> 'tableArn', requestparameters ->> 'clusterIdentifier') AS database,
       coalesce(requestparameters ->> 's3BucketName', requestparameters ->> 's3Bucket',
       requestparameters ->> 'dBSnapshotIdentifier') AS copied_to,
       sourceipaddress, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND (eventsource = 'rds.amazonaws.com' AND eventname IN ('StartExportTask', 'CreateDBSnapshot', 'CreateDBClusterSnapshot',
    'CopyDBSnapshot',
      'RestoreDBInstanceFromDBSnapshot', 'RestoreDBClusterFromSnapshot')
    OR eventsource = 'rds.amazonaws.com' AND eventname IN ('ModifyDBInstance', 'ModifyDBCluster')
    AND (json_contains(requestparameters, 'masterUserPassword')
      OR requestparameters LIKE '%"publiclyAccessible":true%')
    OR eventsource = 'dynamodb.amazonaws.com' AND eventname = 'ExportTableToPointInTime'
    OR eventsource = 'redshift.amazonaws.com' AND eventname IN ('CreateClusterSnapshot', 'AuthorizeSnapshotAccess'))
ORDER BY eventtime, eventid
LIMIT $limit
