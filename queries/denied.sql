-- title: Denials, each with its reason
-- question: Who was refused which action by what kind of policy, explicitly or because nothing allows it, and by which one?
-- param actor text = %: whose, as in actor; % stands for any text
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
WITH denials AS (
  SELECT coalesce(actor, 'unknown') AS actor, recipientaccountid, eventtime, sourceipaddress, eventid, errorcode, errormessage,
         coalesce(regexp_match(errormessage, 'not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9*]+)')[1],
                  concat(split_part(eventsource, '.', 1), ':', eventname)) AS action,
         -- the message names one policy only, and is cut at 1 KB
         lower(coalesce(regexp_match(errormessage, 'explicit deny in (?:an? |the )?([A-Za-z -]+(?:policy|boundary))')[1],
                        regexp_match(errormessage, 'because no ([A-Za-z -]+?) allows')[1])) AS policy,
         errormessage LIKE '%explicit deny%' AS explicit, errormessage LIKE '%because no %' AS implicit,
         regexp_match(errormessage, '(arn:aws[a-z-]*:(?:organizations|iam):[^ ,]*:(?:[^ ,]*/)?policy/[^ ,]+)')[1] AS policy_arn
  FROM events
  WHERE outcome = 'denied' AND coalesce(actor, 'unknown') LIKE $actor AND eventtime > $since AND eventtime <= $until
), reasons AS (
  SELECT *, CASE
    WHEN policy = 'service control policy' THEN 'SCP'
    WHEN policy = 'resource control policy' THEN 'RCP'
    WHEN policy = 'permissions boundary' THEN 'permission boundary'
    WHEN policy = 'vpc endpoint policy' OR errorcode = 'VpceAccessDenied' THEN 'VPC endpoint policy'
    WHEN policy = 'session policy' THEN 'session policy'
    WHEN policy = 'resource-based policy' THEN 'resource policy'
    WHEN policy = 'role trust policy' THEN 'role trust policy'
    WHEN policy = 'identity-based policy' THEN 'identity policy'
    WHEN errormessage LIKE '%Encoded authorization failure message%' THEN 'encoded: aws sts decode-authorization-message'
    WHEN policy IS NOT NULL THEN policy
    ELSE 'not said' END AS refused_by,
    CASE WHEN explicit OR errorcode = 'VpceAccessDenied' THEN 'explicit' WHEN implicit THEN 'implicit' ELSE 'not said' END AS how
  FROM denials
)
SELECT actor, action, refused_by, how, count(*) AS denied, count(DISTINCT recipientaccountid) AS accounts,
       count(DISTINCT sourceipaddress) AS addresses, min(policy_arn) AS policy_arn, min(eventtime) AS first_denied,
       max(eventtime) AS last_denied, first_value(eventid ORDER BY eventtime, eventid) AS first_event
FROM reasons
GROUP BY actor, action, refused_by, how
ORDER BY denied DESC, actor, action, refused_by, how
LIMIT $limit
