-- title: Tampering with Shield
-- question: Who took away the protection against floods, or the response team's access?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.001 Impair Defenses: Disable or Modify Tools
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'protectionId', requestparameters ->> 'protectionGroupId',
       requestparameters ->> 'resourceArn', requestparameters ->> 'logBucket') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'shield.amazonaws.com' AND eventname IN ('DeleteProtection', 'DeleteProtectionGroup', 'DeleteSubscription',
    'DisableApplicationLayerAutomaticResponse', 'DisassociateDRTRole', 'DisassociateDRTLogBucket', 'DisassociateHealthCheck',
    'DisableProactiveEngagement')
ORDER BY eventtime, eventid
LIMIT $limit
