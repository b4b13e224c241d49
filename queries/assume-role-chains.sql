-- title: Chains of assumed roles
-- question: Which roles were reached through another role, and who was at the start?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1550.001 Use Alternate Authentication Material: Application Access Token
WITH RECURSIVE hops AS (
  SELECT actor, useridentity.accesskeyid AS key_used, responseelements -> 'credentials' ->> 'accessKeyId' AS key_made,
         requestparameters ->> 'roleArn' AS role, eventtime
  FROM events
  WHERE eventsource = 'sts.amazonaws.com' AND eventname LIKE 'AssumeRole%' AND outcome = 'success' AND eventtime > $since AND eventtime <= $until
), chains AS (
  SELECT coalesce(actor, key_used, 'unknown') AS origin, coalesce(actor, key_used, 'unknown') || ' -> ' || role AS chain, role,
         key_made, eventtime AS started, eventtime AS ended, 1 AS depth
  FROM hops
  WHERE key_used IS NULL OR key_used NOT IN (SELECT key_made FROM hops WHERE key_made IS NOT NULL)
  UNION ALL
  SELECT chains.origin, chains.chain || ' -> ' || hops.role, hops.role, hops.key_made, chains.started, hops.eventtime,
         chains.depth + 1
  -- a key names its session, so a chain cannot close; ten is more than anybody builds
  FROM chains JOIN hops ON hops.key_used = chains.key_made WHERE chains.depth < 10
)
SELECT origin, chain, depth, count(*) AS times, min(started) AS first_started, max(ended) AS last_ended
FROM chains
WHERE depth > 1
GROUP BY origin, chain, depth
ORDER BY depth DESC, times DESC, chain
LIMIT $limit
