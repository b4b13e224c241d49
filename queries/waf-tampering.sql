-- title: Tampering with WAF
-- question: Who deleted, detached or loosened a web firewall, or stopped its log?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.007 Impair Defenses: Disable or Modify Cloud Firewall
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'name', requestparameters ->> 'resourceArn', requestparameters ->> 'webACLId',
       requestparameters ->> 'id') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource IN ('wafv2.amazonaws.com', 'waf.amazonaws.com', 'waf-regional.amazonaws.com')
  AND eventname IN ('DeleteWebACL', 'DisassociateWebACL', 'UpdateWebACL', 'DeleteLoggingConfiguration', 'PutLoggingConfiguration',
    'DeleteRuleGroup', 'UpdateRuleGroup', 'DeleteRule', 'UpdateRule', 'DeleteIPSet', 'UpdateIPSet',
    'DeleteFirewallManagerRuleGroups',
    'DeletePermissionPolicy')
ORDER BY eventtime, eventid
LIMIT $limit
