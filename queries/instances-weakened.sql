-- title: Machines made easier to take over
-- question: Where was a start-up script changed, the old metadata service allowed, or a role given to an instance?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1578 Modify Cloud Compute Infrastructure
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'instanceId', requestparameters -> 'ModifyInstanceMetadataOptionsRequest' ->> 'InstanceId',
                requestparameters -> 'AssociateIamInstanceProfileRequest' ->> 'InstanceId') AS instance,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventsource = 'ec2.amazonaws.com' AND eventtime > $since AND eventtime <= $until
  AND (eventname = 'ModifyInstanceAttribute' AND json_contains(requestparameters, 'userData')
    OR eventname = 'ModifyInstanceMetadataOptions' AND requestparameters LIKE '%"optional"%'
    OR eventname IN ('AssociateIamInstanceProfile', 'ReplaceIamInstanceProfileAssociation'))
ORDER BY eventtime, eventid
LIMIT $limit
