-- title: Preparing to send mail
-- question: Who looked at or raised the limits of sending, or verified senders?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1496.004 Resource Hijacking: Cloud Service Hijacking
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'emailIdentity', requestparameters ->> 'emailAddress', requestparameters ->> 'identity',
                requestparameters ->> 'domain') AS sender, sourceipaddress, useragent, eventid
FROM events
WHERE eventsource IN ('ses.amazonaws.com', 'email.amazonaws.com') AND eventtime > $since AND eventtime <= $until
  AND eventname IN ('GetSendQuota', 'GetAccount', 'GetAccountSendingEnabled', 'ListIdentities', 'UpdateAccountSendingEnabled',
    'PutAccountDetails',
    'PutAccountSendingAttributes', 'VerifyEmailIdentity', 'VerifyDomainIdentity', 'CreateEmailIdentity', 'DeleteIdentity',
    'DeleteEmailIdentity',
    'PutAccountDedicatedIpWarmupAttributes')
ORDER BY eventtime, eventid
LIMIT $limit
