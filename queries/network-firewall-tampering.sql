-- title: Tampering with Network Firewall
-- question: Who deleted or loosened a network firewall, its rules or its log?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.007 Impair Defenses: Disable or Modify Cloud Firewall
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'firewallName', requestparameters ->> 'firewallArn',
       requestparameters ->> 'firewallPolicyName',
         requestparameters ->> 'ruleGroupName') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'network-firewall.amazonaws.com' AND eventname IN ('DeleteFirewall', 'DeleteFirewallPolicy',
    'UpdateFirewallPolicy',
    'AssociateFirewallPolicy', 'DeleteRuleGroup', 'UpdateRuleGroup', 'UpdateLoggingConfiguration',
    'UpdateFirewallDeleteProtection',
    'UpdateSubnetChangeProtection', 'UpdateFirewallPolicyChangeProtection', 'DisassociateSubnets',
    'DeleteTLSInspectionConfiguration',
    'DeleteResourcePolicy')
ORDER BY eventtime, eventid
LIMIT $limit
