-- title: Tampering with GuardDuty
-- question: Who switched off, blinded or cut off the detector of threats, or tried to?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.001 Impair Defenses: Disable or Modify Tools
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'detectorId', requestparameters ->> 'adminAccountId') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'guardduty.amazonaws.com' AND (eventname IN ('DeleteDetector', 'DisassociateFromAdministratorAccount',
      'DisassociateFromMasterAccount', 'DisassociateMembers', 'DeleteMembers', 'StopMonitoringMembers', 'CreateIPSet',
      'UpdateIPSet',
      'CreateTrustedEntitySet', 'UpdateTrustedEntitySet', 'DeleteThreatIntelSet', 'DeletePublishingDestination',
      'ArchiveFindings',
      'UpdateOrganizationConfiguration', 'DisableOrganizationAdminAccount', 'UpdateMemberDetectors')
    -- to enable it, or to change how often it reports, is no harm
    OR eventname = 'UpdateDetector' AND (requestparameters ->> 'enable' = 'false' OR requestparameters LIKE '%"DISABLED"%'
      OR requestparameters LIKE '%"enable":false%')
    -- a filter harms where it archives what it matches
    OR eventname IN ('CreateFilter', 'UpdateFilter') AND upper(requestparameters ->> 'action') = 'ARCHIVE')
ORDER BY eventtime, eventid
LIMIT $limit
