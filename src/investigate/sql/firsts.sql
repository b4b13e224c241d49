WITH calls AS (
  SELECT coalesce(actor_root, 'unknown') AS who, coalesce(recipientaccountid, 'unknown') AS account, eventtime, eventid,
         concat(split_part(eventsource, '.', 1), ':', eventname) AS call, coalesce(awsregion, 'unknown') AS region,
         coalesce(CASE WHEN source_asn IS NOT NULL THEN concat('AS', CAST(source_asn AS TEXT), ' ', source_org) END,
                  regexp_replace(sourceipaddress, '^([0-9]+[.][0-9]+[.][0-9]+)[.][0-9]+$', '\1.0/24'), 'unknown') AS network,
         coalesce(agent_family, 'unknown') AS agent
  FROM events
  -- a service that calls on somebody's behalf is not a place or a program of theirs
  WHERE useridentity.invokedby IS NULL
)
SELECT who, account, call, region, network, agent, count(*) AS events, min(eventtime) AS time,
       first_value(eventid ORDER BY eventtime, eventid) AS event_id
FROM calls
GROUP BY GROUPING SETS ((who, account, call), (who, account, region), (who, account, network), (who, account, agent))
ORDER BY time, event_id, who, account, call, region, network, agent
LIMIT 10000
