-- title: Credentials that outlive their key
-- question: Who made federation or session tokens, or a console sign-in out of keys?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1550.001 Use Alternate Authentication Material: Application Access Token
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       requestparameters ->> 'name' AS federated_user, requestparameters ->> 'durationSeconds' AS seconds,
       responseelements -> 'credentials' ->> 'accessKeyId' AS accesskeyid,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND (eventsource = 'sts.amazonaws.com' AND eventname IN ('GetFederationToken', 'GetSessionToken')
    OR eventsource = 'signin.amazonaws.com' AND eventname = 'GetSigninToken')
ORDER BY eventtime, eventid
LIMIT $limit
