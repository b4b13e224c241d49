-- title: Safe defaults switched off
-- question: Which guards of a whole account or Region were taken away?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.001 Impair Defenses: Disable or Modify Tools
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome, sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until AND (
  eventsource = 'ec2.amazonaws.com' AND eventname IN ('DisableEbsEncryptionByDefault', 'DisableSnapshotBlockPublicAccess',
    'DisableImageBlockPublicAccess', 'DisableAllowedImagesSettings')
  OR eventsource = 'ec2.amazonaws.com' AND eventname = 'ModifyInstanceMetadataDefaults' AND requestparameters LIKE '%"optional"%'
  OR eventsource = 's3.amazonaws.com' AND eventname = 'DeleteAccountPublicAccessBlock'
  OR eventsource = 's3.amazonaws.com' AND eventname = 'PutAccountPublicAccessBlock' AND requestparameters LIKE '%false%'
  OR eventsource = 'iam.amazonaws.com' AND eventname = 'DeleteAccountPasswordPolicy'
  OR eventsource = 'account.amazonaws.com' AND eventname IN ('EnableRegion', 'PutAlternateContact', 'DeleteAlternateContact'))
ORDER BY eventtime, eventid
LIMIT $limit
