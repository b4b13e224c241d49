-- Addresses and programs of the subject that others may share, the most used ones, each in a column.
(SELECT sourceipaddress AS address, CAST(NULL AS TEXT) AS agent FROM events WHERE source_kind <> 'aws-service'
 GROUP BY sourceipaddress ORDER BY count(*) DESC, sourceipaddress LIMIT 50)
UNION ALL
(SELECT NULL, useragent FROM events
 WHERE useridentity.invokedby IS NULL AND agent_family NOT IN ('aws-internal', 'console')
 GROUP BY useragent ORDER BY count(*) DESC, useragent LIMIT 50)
