-- title: Changes of the organization
-- question: Who moved accounts, changed or detached policies that bind them, or delegated the administration?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1484 Domain or Tenant Policy Modification
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'policyId', requestparameters ->> 'accountId', requestparameters ->> 'targetId',
         requestparameters ->> 'servicePrincipal', requestparameters ->> 'organizationalUnitId') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'organizations.amazonaws.com' AND eventname IN ('LeaveOrganization', 'DetachPolicy', 'AttachPolicy',
    'DisablePolicyType',
    'EnablePolicyType', 'CreatePolicy', 'DeletePolicy', 'UpdatePolicy', 'RemoveAccountFromOrganization',
    'InviteAccountToOrganization', 'MoveAccount',
    'CreateAccount', 'CloseAccount', 'AcceptHandshake', 'DeclineHandshake', 'CreateOrganizationalUnit',
    'UpdateOrganizationalUnit',
    'DeleteOrganizationalUnit', 'RegisterDelegatedAdministrator', 'DeregisterDelegatedAdministrator', 'EnableAWSServiceAccess',
    'DisableAWSServiceAccess', 'PutResourcePolicy', 'DeleteResourcePolicy', 'DeleteOrganization')
ORDER BY eventtime, eventid
LIMIT $limit
