-- Uses of instances' credentials on a day, like ones together.
WITH used AS (
  SELECT profile_of(actor) AS profile,
    split_part(get_field(useridentity, 'principalid'), ':', 2) AS instance,
    get_field(useridentity, 'accountid') AS home,
    coalesce(get_field(useridentity, 'accesskeyid'), '') AS access_key,
    api_of(eventsource, eventname) AS api,
    coalesce(recipientaccountid, '(none)') AS account,
    coalesce(sourceipaddress, '(none)') AS address,
    network_of(sourceipaddress) AS network,
    source_kind(sourceipaddress, vpcendpointid) AS kind,
    coalesce(vpcendpointaccountid <> get_field(useridentity, 'accountid'), false) AS foreign_endpoint,
    coalesce(outcome, 'success') AS outcome,
    eventtime
  FROM events
  WHERE actor IS NOT NULL AND event_date = DATE '{date}' AND {in_time} AND {delivered}
    AND get_field(useridentity, 'type') = 'AssumedRole' AND get_field(useridentity, 'invokedby') IS NULL
    AND (get_field(get_field(useridentity, 'sessioncontext'), 'ec2roledelivery') IS NOT NULL
      OR regexp_like(split_part(get_field(useridentity, 'principalid'), ':', 2), '^i-[0-9a-f]{8,17}$'))
)
-- AWS's services call on behalf of an instance from anywhere
SELECT profile, instance, home, access_key, api, account, address, network, kind, foreign_endpoint, outcome,
  min(eventtime) AS first_time, count(*) AS calls
FROM used
WHERE kind IN ('internet', 'aws-ip', 'private', 'vpce')
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
