SELECT 'address' AS shared, sourceipaddress AS value, actor, count(*) AS events,
       count(*) FILTER (WHERE outcome IN ('denied', 'auth_failed')) AS denied, min(eventtime) AS first, max(eventtime) AS last
FROM public.events
WHERE actor IS NOT NULL AND useridentity.invokedby IS NULL
  AND sourceipaddress IN (SELECT sourceipaddress FROM events WHERE source_kind <> 'aws-service'
                          GROUP BY sourceipaddress ORDER BY count(*) DESC, sourceipaddress LIMIT 50)
  AND actor NOT IN (SELECT actor FROM events WHERE actor IS NOT NULL)
GROUP BY sourceipaddress, actor
UNION ALL
SELECT 'agent', useragent, actor, count(*), count(*) FILTER (WHERE outcome IN ('denied', 'auth_failed')), min(eventtime),
       max(eventtime)
FROM public.events
WHERE actor IS NOT NULL AND useridentity.invokedby IS NULL
  AND actor NOT IN (SELECT actor FROM events WHERE actor IS NOT NULL)
  -- an agent that many have ties nobody to anybody
  AND useragent IN (SELECT useragent FROM public.events
                    WHERE useragent IN (SELECT useragent FROM events
                                        WHERE useridentity.invokedby IS NULL AND agent_family NOT IN ('aws-internal', 'console')
                                        GROUP BY useragent ORDER BY count(*) DESC, useragent LIMIT 50)
                    GROUP BY useragent HAVING count(DISTINCT actor) <= 5)
GROUP BY useragent, actor
ORDER BY shared, events DESC, value, actor
LIMIT 200
