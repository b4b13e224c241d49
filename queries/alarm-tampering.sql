-- title: Tampering with alarms, log groups and topics
-- question: Which alarms, log groups, filters and notifications were deleted or muted?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.008 Impair Defenses: Disable or Modify Cloud Logs
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'alarmNames', requestparameters ->> 'logGroupName', requestparameters ->> 'topicArn',
         requestparameters ->> 'subscriptionArn') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND (eventsource = 'monitoring.amazonaws.com' AND eventname IN ('DeleteAlarms', 'DisableAlarmActions', 'DeleteAnomalyDetector',
    'PutAlarmMuteRule')
    OR eventsource = 'logs.amazonaws.com' AND eventname IN ('DeleteLogGroup', 'DeleteLogStream', 'DeleteSubscriptionFilter',
      'DeleteMetricFilter',
      'PutRetentionPolicy', 'DeleteDestination', 'DeleteResourcePolicy', 'DisassociateKmsKey', 'DeleteDelivery')
    OR eventsource = 'sns.amazonaws.com' AND eventname IN ('DeleteTopic', 'Unsubscribe'))
  AND useridentity.invokedby IS NULL
ORDER BY eventtime, eventid
LIMIT $limit
