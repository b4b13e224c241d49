-- Credentials of an EC2 instance used where they do not belong. `{knows_aws}`: can AWS's networks be told from others?
WITH uses AS (
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
),
-- AWS's services call on behalf of an instance from anywhere
placed AS (
  SELECT * FROM uses WHERE kind IN ('internet', 'aws-ip', 'private', 'vpce')
),
-- what the role was seen at on an earlier day: its own address, a NAT gateway, a line to the company's network
known AS (
  SELECT DISTINCT actor AS profile, value AS network
  FROM baselines
  WHERE feature = 'network' AND event_date BETWEEN DATE '{quarter_before}' AND DATE '{day_before}'
    AND actor IN (SELECT profile FROM placed)
),
-- where most of an account's instances come from together is their way out
homes AS (
  SELECT home, count(DISTINCT instance) AS instances FROM placed GROUP BY home
),
exits AS (
  SELECT placed.home, network
  FROM placed JOIN homes ON homes.home = placed.home
  GROUP BY placed.home, network, instances
  HAVING count(DISTINCT instance) > 2 AND 2 * count(DISTINCT instance) >= instances
),
-- the place of a key's first public use is where it was handed out; a machine has an address for each version of IP, and
-- comes back from a stop with another address and another key
spread AS (
  SELECT access_key, first_value(network ORDER BY eventtime, network) AS first_network,
    max(CAST(strpos(address, ':') > 0 AS INT)) - min(CAST(strpos(address, ':') > 0 AS INT)) AS both_versions,
    count(DISTINCT network) AS networks
  FROM placed
  WHERE kind IN ('internet', 'aws-ip') AND access_key <> ''
  GROUP BY access_key
),
-- roles whose instances are known, and have called from private networks only
indoors AS (
  SELECT actor AS profile
  FROM baselines
  WHERE feature = 'network' AND event_date BETWEEN DATE '{quarter_before}' AND DATE '{day_before}'
    AND actor IN (SELECT profile FROM placed)
  GROUP BY actor
  HAVING count(DISTINCT event_date) > 2
    AND NOT bool_or(coalesce(source_kind(split_part(value, '/', 1)) IN ('internet', 'aws-ip'), false))
),
places AS (
  SELECT home, instance, count(DISTINCT network) AS networks FROM placed GROUP BY home, instance
),
strange AS (
  SELECT placed.*,
    coalesce(spread.networks > 1 + both_versions AND placed.network <> first_network, false) AS elsewhere,
    indoors.profile IS NOT NULL AND places.networks > 1 AS left_home,
    known.network IS NOT NULL OR exits.network IS NOT NULL AS usual
  FROM placed
  JOIN places ON places.home = placed.home AND places.instance = placed.instance
  LEFT JOIN spread ON spread.access_key = placed.access_key
  LEFT JOIN indoors ON indoors.profile = placed.profile
  LEFT JOIN known ON known.profile = placed.profile AND known.network = placed.network
  LEFT JOIN exits ON exits.home = placed.home AND exits.network = placed.network
),
marked AS (
  SELECT *, CASE
    WHEN kind = 'internet' AND ({knows_aws} OR elsewhere OR left_home)
      THEN 'UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS'
    WHEN kind = 'aws-ip' AND elsewhere OR foreign_endpoint
      THEN 'UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS' END AS rules
  FROM strange
  WHERE NOT usual
)
SELECT profile, rules, api, access_key, account, address, outcome, count(*) AS calls
FROM marked
WHERE rules IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 1, 2, 3, 4, 5, 6, 7
