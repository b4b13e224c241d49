-- title: From Identity Center into the accounts
-- question: Which person took which role in which account, after which sign-in, and what came of the session?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
WITH portal AS (
  SELECT eventtime, useridentity.onbehalfof.userid AS user_id, sourceipaddress, eventname, eventid,
         coalesce(requestparameters ->> 'account_id', requestparameters ->> 'accountId', serviceeventdetails ->> 'account_id',
                  serviceeventdetails ->> 'accountId') AS account,
         coalesce(requestparameters ->> 'role_name', requestparameters ->> 'roleName', serviceeventdetails ->> 'role_name',
                  serviceeventdetails ->> 'roleName') AS role
  FROM events
  WHERE eventsource = 'sso.amazonaws.com' AND eventname IN ('GetRoleCredentials', 'Federate') AND outcome = 'success'
    AND eventtime > $since AND eventtime <= $until
), signins AS (
  SELECT useridentity.onbehalfof.userid AS user_id, eventtime, additionaleventdata ->> 'AuthWorkflowID' AS workflow,
         additionaleventdata ->> 'CredentialType' AS credentials
  FROM events
  WHERE eventsource = 'signin.amazonaws.com' AND eventname = 'UserAuthentication' AND eventtime <= $until
    AND serviceeventdetails ->> 'UserAuthentication' = 'Success'
    -- virtual desktops sign in by events of the same names
    AND coalesce(additionaleventdata ->> 'LoginTo', '') NOT LIKE '%workspaces%'
), latest AS (
  -- a session of the portal lasts up to 90 days
  SELECT portal.eventid, max(signins.eventtime) AS signed_in, last_value(workflow ORDER BY signins.eventtime,
         workflow) AS workflow,
         last_value(credentials ORDER BY signins.eventtime, workflow) AS credentials
  FROM portal JOIN signins ON portal.user_id = signins.user_id
  WHERE signins.eventtime <= portal.eventtime
  GROUP BY portal.eventid
), taken AS (
  SELECT eventtime, recipientaccountid, requestparameters ->> 'roleArn' AS role_arn,
         requestparameters ->> 'roleSessionName' AS session_name,
         responseelements -> 'credentials' ->> 'accessKeyId' AS accesskeyid
  FROM events
  WHERE eventsource = 'sts.amazonaws.com' AND eventname = 'AssumeRoleWithSAML' AND outcome = 'success'
), used AS (
  SELECT useridentity.accesskeyid AS accesskeyid, count(*) AS events, max(eventtime) AS last_use
  FROM events
  WHERE useridentity.accesskeyid LIKE 'ASIA%'
  GROUP BY useridentity.accesskeyid
)
SELECT portal.eventtime, portal.user_id, latest.signed_in, latest.workflow, latest.credentials, portal.sourceipaddress,
       portal.eventname,
       portal.account, portal.role, taken.session_name, taken.accesskeyid, coalesce(used.events, 0) AS events, used.last_use,
       portal.eventid
FROM portal
LEFT JOIN latest ON latest.eventid = portal.eventid
-- the role of a permission set is named after it, and taken within seconds
LEFT JOIN taken ON taken.recipientaccountid = portal.account
  AND strpos(taken.role_arn, concat('AWSReservedSSO_', portal.role, '_')) > 0
  AND abs(extract(epoch FROM taken.eventtime) - extract(epoch FROM portal.eventtime)) <= 30
LEFT JOIN used ON used.accesskeyid = taken.accesskeyid
ORDER BY portal.eventtime, portal.eventid, taken.accesskeyid
LIMIT $limit
