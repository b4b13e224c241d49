-- title: Shells on machines
-- question: Who opened a session, a tunnel or a remote desktop on which instance, or tried to?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1021.007 Remote Services: Cloud Services
SELECT eventtime, recipientaccountid, awsregion, actor, eventsource, eventname, outcome,
       coalesce(requestparameters ->> 'target', requestparameters ->> 'InstanceId', requestparameters ->> 'instanceId',
                requestparameters ->> 'sessionId') AS instance,
       coalesce(requestparameters ->> 'documentName', requestparameters ->> 'Protocol',
       requestparameters ->> 'instanceOSUser') AS how,
       responseelements ->> 'sessionId' AS session, sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND (eventsource = 'ssm.amazonaws.com' AND eventname IN ('StartSession', 'ResumeSession')
    OR eventsource = 'ssm-guiconnect.amazonaws.com' AND eventname = 'StartConnection'
    OR eventsource = 'ec2-instance-connect.amazonaws.com' AND eventname IN ('SendSSHPublicKey', 'SendSerialConsoleSSHPublicKey',
      'OpenTunnel')
    OR eventsource = 'ecs.amazonaws.com' AND eventname = 'ExecuteCommand')
ORDER BY eventtime, eventid
LIMIT $limit
