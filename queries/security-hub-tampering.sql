-- title: Tampering with Security Hub
-- question: Who disabled Security Hub, its standards, controls or feeds, or had findings suppressed by a rule?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.001 Impair Defenses: Disable or Modify Tools
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'StandardsControlArn', requestparameters ->> 'ProductSubscriptionArn',
       requestparameters ->> 'RuleName') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'securityhub.amazonaws.com' AND (eventname IN ('DisableSecurityHub', 'DisableSecurityHubV2',
    'BatchDisableStandards',
      'DisableImportFindingsForProduct', 'DeleteMembers', 'DisassociateMembers', 'DisassociateFromAdministratorAccount',
      'DisassociateFromMasterAccount', 'DisableOrganizationAdminAccount', 'DeleteFindingAggregator', 'CreateAutomationRule',
      'BatchUpdateAutomationRules', 'DeleteActionTarget')
    OR eventname IN ('UpdateStandardsControl', 'UpdateSecurityControl', 'BatchUpdateStandardsControlAssociations')
      AND requestparameters LIKE '%"DISABLED"%')
ORDER BY eventtime, eventid
LIMIT $limit
