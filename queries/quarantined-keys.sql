-- title: Keys that AWS found in public
-- question: Whose keys did AWS quarantine, and who took the quarantine off again?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1552.001 Unsecured Credentials: Credentials In Files
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       requestparameters ->> 'userName' AS user_name, requestparameters ->> 'policyArn' AS policy,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'iam.amazonaws.com' AND eventname IN ('AttachUserPolicy', 'DetachUserPolicy', 'PutUserPolicy')
  AND concat(requestparameters ->> 'policyArn', requestparameters ->> 'policyName') LIKE '%AWSCompromisedKeyQuarantine%'
ORDER BY eventtime, eventid
LIMIT $limit
