-- title: Tampering with Macie
-- question: Who switched off the search for sensitive data, or hid what it finds?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.001 Impair Defenses: Disable or Modify Tools
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'id', requestparameters ->> 'name', requestparameters ->> 'jobId') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'macie2.amazonaws.com' AND (eventname IN ('DisableMacie', 'DeleteMember', 'DisassociateMember',
      'DisassociateFromAdministratorAccount', 'DisassociateFromMasterAccount', 'DisableOrganizationAdminAccount',
      'PutFindingsPublicationConfiguration')
    OR eventname = 'UpdateMacieSession' AND requestparameters ->> 'status' = 'PAUSED'
    OR eventname IN ('CreateFindingsFilter', 'UpdateFindingsFilter') AND upper(requestparameters ->> 'action') = 'ARCHIVE'
    OR eventname = 'UpdateClassificationJob' AND requestparameters ->> 'jobStatus' IN ('CANCELLED', 'USER_PAUSED'))
ORDER BY eventtime, eventid
LIMIT $limit
