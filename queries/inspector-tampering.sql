-- title: Tampering with Inspector
-- question: Who switched off the search for vulnerabilities, or suppressed its findings?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.001 Impair Defenses: Disable or Modify Tools
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'name', requestparameters ->> 'filterArn', requestparameters ->> 'accountIds',
       requestparameters ->> 'accountId') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND eventsource = 'inspector2.amazonaws.com' AND (eventname IN ('Disable', 'DisableDelegatedAdminAccount', 'DisassociateMember',
      'UpdateConfiguration', 'UpdateOrganizationConfiguration', 'DeleteCisScanConfiguration')
    OR eventname IN ('CreateFilter', 'UpdateFilter') AND upper(requestparameters ->> 'action') = 'SUPPRESS')
ORDER BY eventtime, eventid
LIMIT $limit
