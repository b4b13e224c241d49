-- title: Tampering with EventBridge
-- question: Which rules that alarms may hang on were disabled, emptied, changed or deleted?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.008 Impair Defenses: Disable or Modify Cloud Logs
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'name', requestparameters ->> 'rule', requestparameters ->> 'eventBusName') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'events.amazonaws.com'
  -- PutRule makes and changes rules: a changed pattern, or a rule put as disabled, hears nothing
  AND eventname IN ('DeleteRule', 'DisableRule', 'PutRule', 'RemoveTargets', 'PutTargets', 'PutPermission', 'DeleteEventBus',
    'DeleteArchive',
    'DeauthorizeConnection')
  -- services look after the rules that they made
  AND useridentity.invokedby IS NULL
ORDER BY eventtime, eventid
LIMIT $limit
