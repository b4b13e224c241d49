-- title: Administrator rights given
-- question: Who gave whom all rights: by a managed policy, an inline one, or a group?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1098.003 Account Manipulation: Additional Cloud Roles
WITH grants AS (
  SELECT *, requestparameters ->> 'policyDocument' AS policy,
         coalesce(requestparameters ->> 'userName', requestparameters ->> 'roleName', requestparameters ->> 'groupName',
                  requestparameters ->> 'policyName', requestparameters ->> 'policyArn') AS target
  FROM events
  WHERE eventsource = 'iam.amazonaws.com' AND outcome = 'success' AND eventtime > $since AND eventtime <= $until
    AND eventname IN ('AttachUserPolicy', 'AttachRolePolicy', 'AttachGroupPolicy', 'PutUserPolicy', 'PutRolePolicy',
      'PutGroupPolicy',
      'CreatePolicy', 'CreatePolicyVersion', 'AddUserToGroup')
), statements AS (
  SELECT eventid, unnest(coalesce(json_get_array(policy, 'Statement'), make_array(json_get_json(policy,
         'Statement')))) AS statement
  FROM grants
), everything AS (
  SELECT DISTINCT eventid FROM statements
  WHERE statement ->> 'Effect' = 'Allow' AND regexp_like(statement ->> 'Action', '^(\*|\*:\*|iam:\*)$|"(\*|\*:\*|iam:\*)"')
    AND regexp_like(statement ->> 'Resource', '^\*$|"\*"')
)
SELECT eventtime, recipientaccountid, actor, eventname, target,
       coalesce(requestparameters ->> 'policyArn', requestparameters ->> 'policyName',
       requestparameters ->> 'groupName') AS given, sourceipaddress, eventid
FROM grants
WHERE regexp_like(requestparameters ->> 'policyArn', ':aws:policy/(.*/)?(AdministratorAccess|IAMFullAccess|PowerUserAccess)$')
  OR eventid IN (SELECT eventid FROM everything)
  OR eventname = 'AddUserToGroup' AND lower(requestparameters ->> 'groupName') LIKE '%admin%'
ORDER BY eventtime, eventid
LIMIT $limit
