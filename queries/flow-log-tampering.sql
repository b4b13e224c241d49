-- title: Tampering with the records of the network
-- question: Who deleted flow logs, DNS query logs or traffic mirrors?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.008 Impair Defenses: Disable or Modify Cloud Logs
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters -> 'DeleteFlowLogsRequest' -> 'FlowLogId' ->> 'content',
       requestparameters -> 'DeleteFlowLogsRequest' ->> 'FlowLogId',
         requestparameters ->> 'resolverQueryLogConfigId') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND (eventsource = 'ec2.amazonaws.com' AND eventname IN ('DeleteFlowLogs', 'DeleteTrafficMirrorSession',
    'DeleteTrafficMirrorTarget',
      'DeleteTrafficMirrorFilter')
    OR eventsource = 'route53resolver.amazonaws.com' AND eventname IN ('DeleteResolverQueryLogConfig',
      'DisassociateResolverQueryLogConfig',
      'DeleteFirewallRuleGroup', 'DisassociateFirewallRuleGroup')
    OR eventsource = 'route53.amazonaws.com' AND eventname = 'DeleteQueryLoggingConfig')
ORDER BY eventtime, eventid
LIMIT $limit
