-- title: One address, many users
-- question: From which addresses did sign-ins fail for several users, and did one work?
-- param users integer = 3: users at least
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1110.003 Brute Force: Password Spraying
SELECT sourceipaddress, count(DISTINCT coalesce(useridentity.username, actor,
       useridentity.type)) FILTER (WHERE outcome <> 'success') AS users,
       count(DISTINCT recipientaccountid) AS accounts, count(*) FILTER (WHERE outcome <> 'success') AS failures,
       count(*) FILTER (WHERE outcome = 'success') AS successes, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE eventsource = 'signin.amazonaws.com' AND eventname IN ('ConsoleLogin', 'CredentialVerification') AND eventtime > $since
  AND eventtime <= $until
GROUP BY sourceipaddress
HAVING count(DISTINCT coalesce(useridentity.username, actor, useridentity.type)) FILTER (WHERE outcome <> 'success') >= $users
ORDER BY users DESC, failures DESC, sourceipaddress
LIMIT $limit
