-- title: Changes of policies
-- question: Which policies of users, groups and roles were written, attached, detached or switched, or tried to be?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1098.003 Account Manipulation: Additional Cloud Roles
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       coalesce(requestparameters ->> 'userName', requestparameters ->> 'roleName',
       requestparameters ->> 'groupName') AS principal,
       coalesce(requestparameters ->> 'policyArn', requestparameters ->> 'policyName') AS policy,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'iam.amazonaws.com' AND (regexp_like(eventname,
    '^(Put|Delete)(User|Role|Group)Policy$|^(Attach|Detach)(User|Role|Group)Policy$')
    OR eventname IN ('CreatePolicy', 'DeletePolicy', 'CreatePolicyVersion', 'DeletePolicyVersion', 'SetDefaultPolicyVersion',
      'AddUserToGroup',
      'RemoveUserFromGroup'))
ORDER BY eventtime, eventid
LIMIT $limit
