-- title: Tampering with AWS Config
-- question: Who stopped, narrowed or deleted the recording of configurations, or its rules, or tried to?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.008 Impair Defenses: Disable or Modify Cloud Logs
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'configurationRecorderName', requestparameters -> 'configurationRecorder' ->> 'name',
         requestparameters ->> 'deliveryChannelName', requestparameters -> 'deliveryChannel' ->> 'name',
         requestparameters ->> 'configRuleName', requestparameters ->> 'conformancePackName') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'config.amazonaws.com' AND eventname IN ('StopConfigurationRecorder', 'DeleteConfigurationRecorder',
    'PutConfigurationRecorder', 'DeleteDeliveryChannel', 'PutDeliveryChannel', 'DeleteConfigRule', 'DeleteOrganizationConfigRule',
    'DeleteConformancePack', 'DeleteOrganizationConformancePack', 'DeleteConfigurationAggregator',
    'DeleteRetentionConfiguration', 'DeleteRemediationConfiguration')
ORDER BY eventtime, eventid
LIMIT $limit
