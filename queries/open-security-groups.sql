-- title: Security groups opened to the world
-- question: Which ports were opened to every address, by whom, and does that include remote administration?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1562.007 Impair Defenses: Disable or Modify Cloud Firewall
WITH calls AS (
  SELECT *, coalesce(json_get_array(requestparameters, 'ModifySecurityGroupRulesRequest', 'SecurityGroupRule'),
                     make_array(json_get_json(requestparameters, 'ModifySecurityGroupRulesRequest',
                     'SecurityGroupRule'))) AS changed
  FROM events
  WHERE eventsource = 'ec2.amazonaws.com' AND outcome = 'success' AND eventtime > $since AND eventtime <= $until
    AND eventname IN ('AuthorizeSecurityGroupIngress', 'ModifySecurityGroupRules')
), permissions AS (
  SELECT eventid, unnest(json_get_array(requestparameters, 'ipPermissions', 'items')) AS permission FROM calls
), ranges AS (
  SELECT eventid, permission, unnest(json_get_array(permission, 'ipRanges', 'items')) AS range FROM permissions
  UNION ALL
  SELECT eventid, permission, unnest(json_get_array(permission, 'ipv6Ranges', 'items')) FROM permissions
), rules AS (
  SELECT eventid, requestparameters ->> 'cidrIp' AS cidr, requestparameters ->> 'ipProtocol' AS protocol,
         requestparameters ->> 'fromPort' AS from_port, requestparameters ->> 'toPort' AS to_port
  FROM calls
  UNION ALL
  SELECT eventid, coalesce(range ->> 'cidrIp', range ->> 'cidrIpv6'), permission ->> 'ipProtocol', permission ->> 'fromPort',
         permission ->> 'toPort'
  FROM ranges
  UNION ALL
  SELECT eventid, coalesce(rule ->> 'CidrIpv4', rule ->> 'CidrIpv6'), rule ->> 'IpProtocol', rule ->> 'FromPort',
         rule ->> 'ToPort'
  FROM (SELECT eventid, json_get_json(unnest(changed), 'SecurityGroupRule') AS rule FROM calls)
), opened AS (
  SELECT DISTINCT eventid, cidr, protocol, try_cast(from_port AS BIGINT) AS from_port, try_cast(to_port AS BIGINT) AS to_port
  FROM rules
  WHERE cidr IN ('0.0.0.0/0', '::/0')
)
SELECT eventtime, recipientaccountid, awsregion, actor, eventname,
       coalesce(requestparameters ->> 'groupId', requestparameters ->> 'groupName',
                requestparameters -> 'ModifySecurityGroupRulesRequest' ->> 'GroupId') AS security_group,
       cidr, protocol, from_port, to_port,
       -- SSH or remote desktop within the range; all protocols have no ports
       protocol = '-1' OR coalesce(from_port <= 22 AND to_port >= 22 OR from_port <= 3389 AND to_port >= 3389,
         false) AS remote_administration,
       sourceipaddress, calls.eventid
FROM calls JOIN opened ON calls.eventid = opened.eventid
ORDER BY eventtime, calls.eventid, cidr, protocol, from_port, to_port
LIMIT $limit
