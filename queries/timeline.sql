-- title: Timeline of what matters
-- question: Which events of interest happened, in order, and why is each of interest?
-- param actor text = %: whose, as in actor or actor_root; % stands for any text
-- param stake integer = 2: least at stake: 1 everything, 2 changes, 3 what attackers come for; refusals, root and attack programs are always told
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 1000: rows at most
WITH calls AS (
  SELECT eventtime, actor_root, actor, session_id, recipientaccountid, awsregion, eventsource, eventname, outcome, errorcode,
         sourceipaddress, source_country, source_org, agent_family, eventid, useridentity.type AS type,
         api_stake(eventsource, eventname) AS stake, api_tactic(eventsource, eventname) AS tactic,
         agent_family IN ('stratus-red-team', 'pacu', 'cloudgoat', 'scoutsuite', 'prowler', 'nuclei', 'trufflehog', 'cloudfox',
           'enumerate-iam', 'weirdaal', 'kali', 'parrot', 'pentoo', 'blackarch', 'metasploit', 'sliver', 'aws-nuke',
           'cloud-nuke') AS tool,
         eventname = 'ConsoleLogin' AND additionaleventdata ->> 'MFAUsed' = 'No' AS without_mfa
  FROM events_by_actor
  WHERE eventtime > $since AND eventtime <= $until AND useridentity.invokedby IS NULL
    AND (coalesce(actor, '') LIKE $actor OR coalesce(actor_root, '') LIKE $actor)
)
SELECT eventtime, coalesce(actor_root, 'unknown') AS who, actor, recipientaccountid, awsregion, eventsource, eventname, outcome,
       concat_ws('; ', CASE WHEN stake >= $stake AND outcome = 'success' THEN tactic
                            WHEN stake >= $stake THEN concat('tried: ', tactic) END,
                 CASE outcome WHEN 'denied' THEN 'denied' WHEN 'auth_failed' THEN 'credentials refused' END,
                 CASE WHEN type = 'Root' THEN 'root user' END,
                 CASE WHEN tool THEN concat('program: ', agent_family) END,
                 CASE WHEN without_mfa THEN 'without MFA' END) AS reasons,
       sourceipaddress, source_country, source_org, agent_family, session_id, eventid
FROM calls
WHERE stake >= $stake OR outcome IN ('denied', 'auth_failed') OR type = 'Root' OR tool OR without_mfa
ORDER BY eventtime, eventid
LIMIT $limit
