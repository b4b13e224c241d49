-- title: Keys disabled or about to be deleted
-- question: Which encryption keys were disabled or scheduled for deletion, and was that taken back?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1485 Data Destruction
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       awsregion, requestparameters ->> 'keyId' AS key_id, requestparameters ->> 'pendingWindowInDays' AS days_left,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'kms.amazonaws.com' AND eventname IN ('DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion',
    'DeleteImportedKeyMaterial',
    'DisableKeyRotation', 'DeleteAlias', 'UpdateAlias', 'DisconnectCustomKeyStore', 'DeleteCustomKeyStore')
ORDER BY eventtime, eventid
LIMIT $limit
