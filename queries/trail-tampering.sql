-- title: Tampering with logs and detectors
-- question: Who stopped, deleted or narrowed what watches the accounts, or tried to?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.008 Impair Defenses: Disable or Modify Cloud Logs
SELECT eventtime, recipientaccountid, awsregion, actor, eventsource, eventname, outcome, sourceipaddress, requestparameters,
       eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND (eventsource = 'cloudtrail.amazonaws.com' AND eventname IN ('StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors',
         'PutInsightSelectors', 'PutEventConfiguration', 'DeregisterOrganizationDelegatedAdmin', 'StopEventDataStoreIngestion',
         'DeleteEventDataStore', 'UpdateEventDataStore')
    OR eventsource = 'config.amazonaws.com' AND eventname IN ('StopConfigurationRecorder', 'DeleteConfigurationRecorder',
         'DeleteDeliveryChannel', 'DeleteConfigRule')
    OR eventsource = 'guardduty.amazonaws.com' AND eventname IN ('DeleteDetector', 'UpdateDetector', 'CreateFilter', 'CreateIPSet',
         'UpdateIPSet', 'DeleteMembers', 'StopMonitoringMembers', 'DisassociateFromAdministratorAccount',
         'DisassociateFromMasterAccount', 'DisassociateMembers', 'DeletePublishingDestination')
    OR eventsource = 'securityhub.amazonaws.com' AND eventname IN ('DisableSecurityHub', 'BatchDisableStandards')
    OR eventsource = 'macie2.amazonaws.com' AND eventname = 'DisableMacie'
    OR eventsource = 'access-analyzer.amazonaws.com' AND eventname = 'DeleteAnalyzer'
    OR eventsource = 'ec2.amazonaws.com' AND eventname = 'DeleteFlowLogs'
    OR eventsource = 'logs.amazonaws.com' AND eventname IN ('DeleteLogGroup', 'DeleteLogStream')
    OR eventsource = 's3.amazonaws.com' AND eventname = 'PutBucketLogging'
         AND requestparameters -> 'BucketLoggingStatus' -> 'LoggingEnabled' IS NULL)
ORDER BY eventtime, eventid
LIMIT $limit
