-- title: Changes of the network's edges
-- question: Who changed gateways, routes, access lists, peerings or endpoints?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1599 Network Boundary Bridging
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome,
       coalesce(requestparameters ->> 'routeTableId', requestparameters ->> 'networkAclId',
       requestparameters ->> 'internetGatewayId',
                requestparameters ->> 'vpcPeeringConnectionId', requestparameters ->> 'vpcId',
                requestparameters ->> 'networkInterfaceId') AS resource,
       sourceipaddress, requestparameters, eventid
FROM events
WHERE eventsource = 'ec2.amazonaws.com' AND eventtime > $since AND eventtime <= $until
  AND regexp_like(eventname, '^(Create|Delete|Replace|Attach|Detach|Accept|Reject|Modify|Associate|Disassociate)')
  AND regexp_like(eventname, concat('(Route|RouteTable|RouteTableAssociation|NetworkAcl|NetworkAclEntry|NetworkAclAssociation|',
    'Gateway|VpnConnection|VpcPeeringConnection|VpcPeeringConnectionOptions|VpcEndpoints?|VpcAttachment|Vpc|VpcAttribute|',
    'ClientVpnEndpoint|NetworkInterfaceAttribute)$'))
ORDER BY eventtime, eventid
LIMIT $limit
