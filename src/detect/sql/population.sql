-- Actors per account, and of the organization under the account ''.
SELECT account, count(DISTINCT actor) AS actors FROM past GROUP BY account
UNION ALL
SELECT '' AS account, count(DISTINCT actor) AS actors FROM past
ORDER BY account
