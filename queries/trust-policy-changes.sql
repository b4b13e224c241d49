-- title: Who may assume which role, changed
-- question: Which roles got a new trust policy, and does it let in other accounts or everybody?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1098.003 Account Manipulation: Additional Cloud Roles
WITH changes AS (
  SELECT eventtime, recipientaccountid, actor, eventname, outcome, requestparameters ->> 'roleName' AS role,
         coalesce(requestparameters ->> 'policyDocument', requestparameters ->> 'assumeRolePolicyDocument') AS policy,
         sourceipaddress, eventid
  FROM events
  WHERE eventsource = 'iam.amazonaws.com' AND eventname IN ('UpdateAssumeRolePolicy', 'CreateRole') AND eventtime > $since
    AND eventtime <= $until
), statements AS (
  SELECT eventid, unnest(coalesce(json_get_array(policy, 'Statement'), make_array(json_get_json(policy,
         'Statement')))) AS statement
  FROM changes
), trusted AS (
  SELECT s.eventid, string_agg(DISTINCT statement ->> 'Principal', ' ' ORDER BY statement ->> 'Principal') AS principals,
         bool_or(regexp_like(statement ->> 'Principal', '^\*$|"\*"')) AS everybody,
         bool_or(regexp_like(replace(statement ->> 'Principal', c.recipientaccountid, ''), '[0-9]{12}')) AS other_account,
         bool_or(regexp_like(statement ->> 'Principal', '"Federated"')) AS federated
  FROM statements s JOIN changes c ON s.eventid = c.eventid
  WHERE statement ->> 'Effect' = 'Allow'
  GROUP BY s.eventid
)
SELECT eventtime, recipientaccountid, actor, eventname, outcome, role, principals, everybody, other_account, federated,
       sourceipaddress,
       changes.eventid
FROM changes LEFT JOIN trusted ON changes.eventid = trusted.eventid
-- a new role that only a service or its own account may take is everyday work; a changed one is not
WHERE eventname = 'UpdateAssumeRolePolicy' OR everybody OR other_account OR federated
ORDER BY eventtime, changes.eventid
LIMIT $limit
