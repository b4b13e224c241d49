SELECT who, account, region, address, agent, count(*) AS events
FROM (
  SELECT coalesce(actor_root, 'unknown') AS who, coalesce(recipientaccountid, 'unknown') AS account,
         coalesce(awsregion, 'unknown') AS region, coalesce(agent_family, 'unknown') AS agent,
         concat(coalesce(sourceipaddress, 'unknown'),
                CASE WHEN coalesce(source_org, source_country) IS NULL THEN ''
                     ELSE concat(' (', concat_ws(', ', source_org, source_country), ')') END) AS address
  FROM events
)
GROUP BY GROUPING SETS ((who), (account), (region), (address), (agent))
ORDER BY events DESC, who, account, region, address, agent
LIMIT 1000
