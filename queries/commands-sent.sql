-- title: Commands run on machines
-- question: Who had commands, automations or associations run, on what, and what may run them later?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1651 Cloud Administration Command
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'documentName', requestparameters ->> 'name') AS document,
       coalesce(requestparameters ->> 'instanceIds', requestparameters ->> 'targets',
       requestparameters ->> 'instanceId') AS targets,
       responseelements -> 'command' ->> 'commandId' AS command, sourceipaddress, useragent, eventid
FROM events
WHERE eventsource = 'ssm.amazonaws.com' AND eventtime > $since AND eventtime <= $until
  AND eventname IN ('SendCommand', 'StartAutomationExecution', 'CreateAssociation', 'UpdateAssociation', 'CreateDocument',
    'UpdateDocument',
    'ModifyDocumentPermission', 'CreateActivation', 'RegisterTaskWithMaintenanceWindow', 'UpdateServiceSetting')
ORDER BY eventtime, eventid
LIMIT $limit
