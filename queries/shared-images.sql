-- title: Images shared or made public
-- question: Which machine images were opened to everybody, to which accounts or organizations?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1537 Transfer Data to Cloud Account
WITH shares AS (
  SELECT eventtime, recipientaccountid, awsregion, actor, requestparameters ->> 'imageId' AS image,
         unnest(json_get_array(requestparameters, 'launchPermission', 'add', 'items')) AS target, sourceipaddress, eventid
  FROM events
  WHERE eventsource = 'ec2.amazonaws.com' AND eventname = 'ModifyImageAttribute' AND outcome = 'success' AND eventtime > $since
    AND eventtime <= $until
), named AS (
  SELECT *, coalesce(target ->> 'group', target ->> 'userId', target ->> 'organizationArn',
         target ->> 'organizationalUnitArn') AS shared_with
  FROM shares
)
SELECT eventtime, recipientaccountid, awsregion, actor, image, shared_with, shared_with = 'all' AS public, sourceipaddress,
       eventid
FROM named
WHERE shared_with <> recipientaccountid
ORDER BY eventtime, eventid, shared_with
LIMIT $limit
