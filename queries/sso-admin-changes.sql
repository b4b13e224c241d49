-- title: Changes of Identity Center
-- question: Who gave access to accounts, changed permission sets, or made users and members of groups?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1098.003 Account Manipulation: Additional Cloud Roles
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       coalesce(requestparameters ->> 'targetId', requestparameters ->> 'permissionSetArn', requestparameters ->> 'groupId',
                requestparameters ->> 'userName') AS target, requestparameters,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND (eventsource = 'sso.amazonaws.com' AND eventname IN ('CreateAccountAssignment', 'DeleteAccountAssignment',
    'CreatePermissionSet', 'UpdatePermissionSet',
      'DeletePermissionSet', 'AttachManagedPolicyToPermissionSet', 'AttachCustomerManagedPolicyReferenceToPermissionSet',
      'PutInlinePolicyToPermissionSet', 'ProvisionPermissionSet', 'DeletePermissionsBoundaryFromPermissionSet',
      'CreateTrustedTokenIssuer',
      'PutMfaDeviceManagementForDirectory')
    -- the public API and the console write under two sources
    OR eventsource IN ('identitystore.amazonaws.com', 'sso-directory.amazonaws.com') AND eventname IN ('CreateUser',
      'CreateGroup', 'UpdateUser',
      'AddMemberToGroup', 'CreateGroupMembership', 'UpdatePassword', 'DeleteMfaDeviceForUser', 'DisableUser', 'EnableUser'))
ORDER BY eventtime, eventid
LIMIT $limit
