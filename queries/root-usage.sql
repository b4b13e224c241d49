-- title: Use of the root user
-- question: When did someone act as root of an account, from where, and with MFA or not?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
SELECT eventtime, recipientaccountid, eventsource, eventname, outcome, sourceipaddress, useragent,
       coalesce(additionaleventdata ->> 'MFAUsed', useridentity.sessioncontext.attributes.mfaauthenticated) AS mfa, eventid
FROM events
WHERE useridentity.type = 'Root'
  -- what AWS does in root's name is not use
  AND useridentity.invokedby IS NULL AND coalesce(eventtype, '') <> 'AwsServiceEvent'
  AND eventtime > $since AND eventtime <= $until
ORDER BY eventtime, eventid
LIMIT $limit
