-- title: Failed console sign-ins
-- question: Who failed to sign in, from where, how often, and did it work in the end?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 100: rows at most
-- attack: T1110 Brute Force
WITH logins AS (
  SELECT coalesce(useridentity.username, actor, useridentity.type) AS name, recipientaccountid, sourceipaddress, outcome,
         eventtime
  FROM events
  WHERE eventname = 'ConsoleLogin' AND eventtime > $since AND eventtime <= $until
)
SELECT name, recipientaccountid, sourceipaddress,
       count(*) FILTER (WHERE outcome <> 'success') AS failures,
       min(eventtime) FILTER (WHERE outcome <> 'success') AS first_failure,
       max(eventtime) FILTER (WHERE outcome <> 'success') AS last_failure,
       max(eventtime) FILTER (WHERE outcome = 'success') AS last_success
FROM logins
GROUP BY name, recipientaccountid, sourceipaddress
HAVING count(*) FILTER (WHERE outcome <> 'success') > 0
ORDER BY failures DESC, name, recipientaccountid, sourceipaddress
LIMIT $limit
