-- title: Permission boundaries changed
-- question: Whose boundary was taken away or replaced?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1098.003 Account Manipulation: Additional Cloud Roles
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       coalesce(requestparameters ->> 'userName', requestparameters ->> 'roleName') AS principal,
       requestparameters ->> 'permissionsBoundary' AS boundary,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'iam.amazonaws.com' AND regexp_like(eventname, '^(Put|Delete)(User|Role)PermissionsBoundary$')
ORDER BY eventtime, eventid
LIMIT $limit
