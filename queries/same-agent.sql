-- title: Others with the same program
-- question: Which other identities use the rare programs of this identity?
-- param actor text: the identity as in the column actor
-- param identities integer = 5: identities at most that make a program rare
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
WITH agents AS (
  SELECT useragent AS agent FROM events
  WHERE eventtime > $since AND eventtime <= $until AND useragent IS NOT NULL
  GROUP BY useragent
  HAVING bool_or(actor = $actor) AND count(DISTINCT actor) <= $identities
)
SELECT useragent, actor, count(*) AS events, count(DISTINCT sourceipaddress) AS addresses, min(eventtime) AS first_seen,
       max(eventtime) AS last_seen
FROM events JOIN agents ON useragent = agent
WHERE actor <> $actor AND eventtime > $since AND eventtime <= $until
GROUP BY useragent, actor
ORDER BY useragent, first_seen, actor
LIMIT $limit
