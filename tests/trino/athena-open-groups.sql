SELECT c.eventtime, rule.cidr AS open_to, json_extract_scalar(p.item, '$.fromPort') AS port
FROM cloudtrail_logs c
CROSS JOIN UNNEST(CAST(json_extract(c.requestparameters, '$.ipPermissions.items') AS array(json))) AS p (item)
CROSS JOIN UNNEST(transform(CAST(json_extract(p.item, '$.ipRanges.items') AS array(json)), r -> json_extract_scalar(r, '$.cidrIp'))) AS rule (cidr)
WHERE c.eventname = 'AuthorizeSecurityGroupIngress' ORDER BY 1, 2, 3
