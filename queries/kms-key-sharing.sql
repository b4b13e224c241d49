-- title: Grants on keys
-- question: To whom were encryption keys granted, and does one go to another account?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1098 Account Manipulation
SELECT eventtime, recipientaccountid, awsregion, actor, requestparameters ->> 'keyId' AS key_id,
       requestparameters ->> 'granteePrincipal' AS grantee, requestparameters ->> 'operations' AS operations,
       coalesce(regexp_like(replace(requestparameters ->> 'granteePrincipal', recipientaccountid, ''), '[0-9]{12}'),
       false) AS other_account,
       sourceipaddress, eventid
FROM events
WHERE eventsource = 'kms.amazonaws.com' AND eventname = 'CreateGrant' AND outcome = 'success' AND eventtime > $since
  AND eventtime <= $until
  -- services make grants for what they encrypt
  AND useridentity.invokedby IS NULL
ORDER BY eventtime, eventid
LIMIT $limit
