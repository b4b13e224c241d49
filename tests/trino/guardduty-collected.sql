SELECT eventtime, json_collect_values(requestparameters, '$.ipPermissions.items[*].ipRanges.items', 'cidrIp') AS open_to
FROM events WHERE eventname = 'AuthorizeSecurityGroupIngress'
  AND contains(json_collect_values(requestparameters, '$.ipPermissions.items[*].ipRanges.items', 'cidrIp'), '0.0.0.0/0') ORDER BY 1
