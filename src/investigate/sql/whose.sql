-- Identities and accounts of the subject's events, each in a column.
SELECT DISTINCT actor_root, CAST(NULL AS TEXT) AS account FROM events WHERE actor_root IS NOT NULL
UNION ALL
SELECT DISTINCT NULL, recipientaccountid FROM events WHERE recipientaccountid IS NOT NULL
ORDER BY account, actor_root
LIMIT 10000
