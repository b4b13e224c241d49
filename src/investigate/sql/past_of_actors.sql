WITH calls AS (
  SELECT eventtime, coalesce(actor_root, 'unknown') AS who, concat(split_part(eventsource, '.', 1), ':', eventname) AS call,
         coalesce(awsregion, 'unknown') AS region,
         coalesce(CASE WHEN source_asn IS NOT NULL THEN concat('AS', CAST(source_asn AS TEXT), ' ', source_org) END,
                  regexp_replace(sourceipaddress, '^([0-9]+[.][0-9]+[.][0-9]+)[.][0-9]+$', '\1.0/24'), 'unknown') AS network,
         coalesce(agent_family, 'unknown') AS agent
  FROM public.events_by_actor
  WHERE eventtime < $from AND actor_root IN (SELECT DISTINCT actor_root FROM events)
)
SELECT who, call, region, network, agent, min(eventtime) AS first
FROM calls
GROUP BY GROUPING SETS ((who, call), (who, region), (who, network), (who, agent))
LIMIT 100000
