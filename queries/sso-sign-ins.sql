-- title: Sign-ins through Identity Center
-- question: Who signed in through Identity Center, with which factors, and how often did it fail?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
SELECT additionaleventdata ->> 'AuthWorkflowID' AS workflow, min(eventtime) AS started, max(eventtime) AS ended,
       max(additionaleventdata ->> 'UserName') AS username, max(useridentity.onbehalfof.userid) AS user_id,
       string_agg(DISTINCT additionaleventdata ->> 'CredentialType',
       ' ' ORDER BY additionaleventdata ->> 'CredentialType') AS credentials,
       min(sourceipaddress) AS sourceipaddress, count(DISTINCT sourceipaddress) AS addresses,
       bool_or(eventname = 'UserAuthentication' AND serviceeventdetails ->> 'UserAuthentication' = 'Success') AS signed_in,
       count(*) FILTER (WHERE serviceeventdetails ->> eventname = 'Failure') AS failures
FROM events
WHERE eventsource = 'signin.amazonaws.com' AND eventname IN ('CredentialChallenge', 'CredentialVerification',
  'UserAuthentication') AND eventtime > $since AND eventtime <= $until
  AND additionaleventdata ->> 'AuthWorkflowID' IS NOT NULL
  -- virtual desktops sign in by events of the same names
  AND coalesce(additionaleventdata ->> 'LoginTo', '') NOT LIKE '%workspaces%'
GROUP BY additionaleventdata ->> 'AuthWorkflowID'
ORDER BY started, workflow
LIMIT $limit
