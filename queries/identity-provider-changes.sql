-- title: Identity providers added or changed
-- question: Which providers, whose users may come in from outside, were added, changed or deleted?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1484.002 Domain or Tenant Policy Modification: Trust Modification
SELECT eventtime, recipientaccountid, actor, eventname, outcome,
       coalesce(requestparameters ->> 'sAMLProviderArn', requestparameters ->> 'openIDConnectProviderArn',
       requestparameters ->> 'name',
                requestparameters ->> 'url') AS provider,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND (eventsource = 'iam.amazonaws.com' AND regexp_like(eventname,
    '^(Create|Update|Delete|AddClientIDTo|RemoveClientIDFrom)(SAML|OpenIDConnect)Provider')
    OR eventsource = 'sso.amazonaws.com' AND eventname IN ('CreateTrustedTokenIssuer', 'UpdateTrustedTokenIssuer')
    OR eventsource = 'rolesanywhere.amazonaws.com' AND eventname IN ('CreateTrustAnchor', 'UpdateTrustAnchor', 'CreateProfile',
      'EnableTrustAnchor')
    OR eventsource IN ('sso.amazonaws.com', 'sso-directory.amazonaws.com')
    AND eventname IN ('EnableExternalIdPConfigurationForDirectory',
      'CreateExternalIdPConfigurationForDirectory', 'UpdateExternalIdPConfigurationForDirectory'))
ORDER BY eventtime, eventid
LIMIT $limit
