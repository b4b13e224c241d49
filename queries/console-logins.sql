-- title: Console sign-ins
-- question: Who signed in to the console, from where, and with which second factor?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       useridentity.type AS identity_type, additionaleventdata ->> 'MFAUsed' AS mfa_used,
       additionaleventdata ->> 'MFAIdentifier' AS mfa_device,
       additionaleventdata ->> 'LoginTo' AS login_to,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'signin.amazonaws.com' AND eventname = 'ConsoleLogin' AND outcome = 'success'
ORDER BY eventtime, eventid
LIMIT $limit
