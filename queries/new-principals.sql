-- title: New users, passwords and credentials
-- question: Which users, console passwords, service credentials and certificates were made or set?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1136.003 Create Account: Cloud Account
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       coalesce(requestparameters ->> 'userName', requestparameters ->> 'instanceProfileName') AS principal,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND outcome = 'success' AND eventsource = 'iam.amazonaws.com' AND eventname IN ('CreateUser', 'CreateLoginProfile',
    'UpdateLoginProfile',
    'CreateServiceSpecificCredential', 'ResetServiceSpecificCredential', 'UploadSSHPublicKey', 'UploadSigningCertificate',
    'CreateInstanceProfile',
    'ChangePassword')
ORDER BY eventtime, eventid
LIMIT $limit
