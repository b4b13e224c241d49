-- grouped twice: networks and families of programs are made of what differs, not of every event
WITH seen AS (
  SELECT recipientaccountid AS who, eventsource, eventname, awsregion, sourceipaddress, useragent, min(eventtime) AS first
  FROM public.events
  WHERE eventtime < $from AND recipientaccountid IN ({accounts})
  GROUP BY 1, 2, 3, 4, 5, 6
), calls AS (
  SELECT first, who, concat(split_part(eventsource, '.', 1), ':', eventname) AS call,
         coalesce(awsregion, 'unknown') AS region,
         coalesce(CASE WHEN source_asn(sourceipaddress) IS NOT NULL
                       THEN concat('AS', CAST(source_asn(sourceipaddress) AS TEXT), ' ', source_org(sourceipaddress)) END,
                  regexp_replace(sourceipaddress, '^([0-9]+[.][0-9]+[.][0-9]+)[.][0-9]+$', '\1.0/24'), 'unknown') AS network,
         coalesce(agent_family(useragent), 'unknown') AS agent
  FROM seen
)
SELECT who, call, region, network, agent, min(first) AS first
FROM calls
GROUP BY GROUPING SETS ((who, call), (who, region), (who, network), (who, agent))
LIMIT 100000
