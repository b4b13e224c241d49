-- the lists hold few values and are named, so that the scan of all events looks at nothing else of other rows
WITH own AS (
  SELECT actor FROM events WHERE actor IS NOT NULL GROUP BY actor
), by_address AS (
  SELECT sourceipaddress, actor, count(*) AS events,
         count(*) FILTER (WHERE outcome IN ('denied', 'auth_failed')) AS denied, min(eventtime) AS first, max(eventtime) AS last
  FROM public.events
  WHERE sourceipaddress IN ({addresses}) AND actor IS NOT NULL AND useridentity.invokedby IS NULL
  GROUP BY sourceipaddress, actor
), by_agent AS (
  SELECT useragent, actor, useridentity.invokedby IS NULL AS itself, count(*) AS events,
         count(*) FILTER (WHERE outcome IN ('denied', 'auth_failed')) AS denied, min(eventtime) AS first, max(eventtime) AS last
  FROM public.events
  WHERE useragent IN ({agents}) AND actor IS NOT NULL
  GROUP BY 1, 2, 3
), rare AS (
  -- an agent that many have ties nobody to anybody
  SELECT useragent FROM by_agent GROUP BY useragent HAVING count(DISTINCT actor) <= 5
)
SELECT 'address' AS shared, sourceipaddress AS value, actor, events, denied, first, last
FROM by_address
WHERE actor NOT IN (SELECT actor FROM own)
UNION ALL
SELECT 'agent', useragent, actor, events, denied, first, last
FROM by_agent
WHERE itself AND actor NOT IN (SELECT actor FROM own) AND useragent IN (SELECT useragent FROM rare)
ORDER BY shared, events DESC, value, actor
LIMIT 200
