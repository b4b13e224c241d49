-- title: Second factors and password rules changed
-- question: Whose MFA device was taken away or replaced, and who loosened the password policy?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1556.006 Modify Authentication Process: Multi-Factor Authentication
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       coalesce(requestparameters ->> 'userName', requestparameters ->> 'serialNumber') AS changed,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'iam.amazonaws.com' AND eventname IN ('DeactivateMFADevice', 'DeleteVirtualMFADevice',
    'CreateVirtualMFADevice',
    'EnableMFADevice', 'ResyncMFADevice', 'DeleteAccountPasswordPolicy', 'UpdateAccountPasswordPolicy')
ORDER BY eventtime, eventid
LIMIT $limit
