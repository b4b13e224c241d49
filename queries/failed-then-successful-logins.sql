-- title: Sign-in that worked after failures
-- question: Whose password was guessed: several failures, then a success within minutes?
-- param failures integer = 3: failures at least
-- param minutes integer = 60: how long before the success they count
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1110.001 Brute Force: Password Guessing
WITH logins AS (
  SELECT coalesce(useridentity.username, actor, useridentity.type) AS name, recipientaccountid, sourceipaddress, outcome,
         eventtime, eventid,
         additionaleventdata ->> 'MFAUsed' AS mfa_used
  FROM events
  WHERE eventsource = 'signin.amazonaws.com' AND eventname = 'ConsoleLogin' AND eventtime > $since AND eventtime <= $until
)
SELECT s.eventtime, s.recipientaccountid, s.name, count(*) AS failures, min(f.eventtime) AS first_failure,
       count(DISTINCT f.sourceipaddress) AS failed_from, s.sourceipaddress,
       bool_or(f.sourceipaddress = s.sourceipaddress) AS same_address,
       s.mfa_used, s.eventid
FROM logins s JOIN logins f ON f.name = s.name AND f.recipientaccountid = s.recipientaccountid
WHERE s.outcome = 'success' AND f.outcome <> 'success' AND f.eventtime <= s.eventtime
  AND extract(epoch FROM s.eventtime) - extract(epoch FROM f.eventtime) <= 60 * $minutes
GROUP BY s.eventtime, s.recipientaccountid, s.name, s.sourceipaddress, s.mfa_used, s.eventid
HAVING count(*) >= $failures
ORDER BY s.eventtime, s.eventid
LIMIT $limit
