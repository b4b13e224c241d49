-- title: Pipelines and pods that took roles
-- question: Which repositories, pipelines and clusters took which roles by a token, and which are new?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
SELECT coalesce(useridentity.identityprovider, responseelements ->> 'provider') AS provider,
       coalesce(responseelements ->> 'subjectFromWebIdentityToken', useridentity.username) AS subject,
       requestparameters ->> 'roleArn' AS role, recipientaccountid, count(*) FILTER (WHERE outcome = 'success'
       AND eventtime > $since) AS taken,
       count(*) FILTER (WHERE outcome <> 'success' AND eventtime > $since) AS failed, min(eventtime) > $since AS new,
       min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE eventsource = 'sts.amazonaws.com' AND eventname = 'AssumeRoleWithWebIdentity' AND eventtime <= $until
GROUP BY 1, 2, 3, 4
HAVING max(eventtime) > $since
ORDER BY new DESC, first_seen, subject, role, recipientaccountid
LIMIT $limit
