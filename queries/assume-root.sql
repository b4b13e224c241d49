-- title: Root sessions from the centre
-- question: Who took root of a member account through the organization, for which task?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
SELECT eventtime, recipientaccountid, actor, outcome, requestparameters ->> 'targetPrincipal' AS target,
       coalesce(requestparameters -> 'taskPolicyArn' ->> 'arn', requestparameters ->> 'taskPolicyArn') AS task,
       responseelements -> 'credentials' ->> 'accessKeyId' AS accesskeyid, sourceipaddress, eventid
FROM events
WHERE eventsource = 'sts.amazonaws.com' AND eventname = 'AssumeRoot' AND eventtime > $since AND eventtime <= $until
ORDER BY eventtime, eventid
LIMIT $limit
