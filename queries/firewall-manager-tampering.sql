-- title: Tampering with Firewall Manager
-- question: Who deleted or changed the organization's firewall policies or their administrator?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.007 Impair Defenses: Disable or Modify Cloud Firewall
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'policyId', requestparameters -> 'policy' ->> 'policyName',
       requestparameters ->> 'adminAccount') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'fms.amazonaws.com' AND eventname IN ('DeletePolicy', 'PutPolicy', 'DisassociateAdminAccount',
    'AssociateAdminAccount',
    'PutAdminAccount', 'DeleteNotificationChannel', 'DeleteResourceSet', 'DeleteAppsList', 'DeleteProtocolsList',
    'DisassociateThirdPartyFirewall')
ORDER BY eventtime, eventid
LIMIT $limit
