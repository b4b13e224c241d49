-- title: Snapshots shared or made public
-- question: Which disk and database snapshots were opened to everybody or to which other accounts?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1537 Transfer Data to Cloud Account
WITH shares AS (
  SELECT eventtime, recipientaccountid, awsregion, actor, outcome, eventname, requestparameters ->> 'snapshotId' AS snapshot,
         unnest(json_get_array(requestparameters, 'createVolumePermission', 'add', 'items')) AS target, sourceipaddress, eventid
  FROM events
  WHERE eventsource = 'ec2.amazonaws.com' AND eventname = 'ModifySnapshotAttribute' AND eventtime > $since AND eventtime <= $until
  UNION ALL
  SELECT eventtime, recipientaccountid, awsregion, actor, outcome, eventname,
         coalesce(requestparameters ->> 'dBSnapshotIdentifier', requestparameters ->> 'dBClusterSnapshotIdentifier'),
         unnest(json_get_array(requestparameters, 'valuesToAdd')), sourceipaddress, eventid
  FROM events
  WHERE eventsource = 'rds.amazonaws.com' AND eventname IN ('ModifyDBSnapshotAttribute', 'ModifyDBClusterSnapshotAttribute')
    AND eventtime > $since AND eventtime <= $until
    AND requestparameters ->> 'attributeName' = 'restore'
), named AS (
  SELECT *, coalesce(target ->> 'group', target ->> 'userId', btrim(target, '"')) AS shared_with FROM shares
)
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, snapshot, shared_with, shared_with = 'all' AS public,
       sourceipaddress, eventid
FROM named
WHERE outcome = 'success' AND shared_with <> recipientaccountid
ORDER BY eventtime, eventid, shared_with
LIMIT $limit
