-- title: Console sign-ins without MFA
-- question: Which users of ours signed in to the console with a password alone?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
SELECT eventtime, recipientaccountid, actor, sourceipaddress, useragent, eventid
FROM events
WHERE eventname = 'ConsoleLogin' AND outcome = 'success'
  -- people who come from an identity provider use its MFA, which AWS reports as none
  AND useridentity.type IN ('IAMUser', 'Root') AND additionaleventdata ->> 'MFAUsed' = 'No'
  AND eventtime > $since AND eventtime <= $until
ORDER BY eventtime, eventid
LIMIT $limit
