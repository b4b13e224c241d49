-- Credentials of an EC2 instance used where they do not belong. `{knows_aws}`: can AWS's networks be told from others?
-- `uses` are those of the day, `asked` the profiles that came from where they never did, `known` what these were seen at on
-- a day of the past quarter: their own address, a NAT gateway, a line to the company's network. `indoors` are those whose
-- instances are known, and have called from private networks only.
WITH
-- where most of an account's instances come from together is their way out
homes AS (
  SELECT home, count(DISTINCT instance) AS instances FROM uses GROUP BY home
),
exits AS (
  SELECT uses.home, network
  FROM uses JOIN homes ON homes.home = uses.home
  GROUP BY uses.home, network, instances
  HAVING count(DISTINCT instance) > 2 AND 2 * count(DISTINCT instance) >= instances
),
-- the place of a key's first public use is where it was handed out; a machine has an address for each version of IP, and
-- comes back from a stop with another address and another key
spread AS (
  SELECT access_key, first_value(network ORDER BY first_time, network) AS first_network,
    max(CAST(strpos(address, ':') > 0 AS INT)) - min(CAST(strpos(address, ':') > 0 AS INT)) AS both_versions,
    count(DISTINCT network) AS networks
  FROM uses
  WHERE kind IN ('internet', 'aws-ip') AND access_key <> ''
  GROUP BY access_key
),
places AS (
  SELECT home, instance, count(DISTINCT network) AS networks FROM uses GROUP BY home, instance
),
strange AS (
  SELECT uses.*,
    coalesce(spread.networks > 1 + both_versions AND uses.network <> first_network, false) AS elsewhere,
    indoors.profile IS NOT NULL AND places.networks > 1 AS left_home,
    known.network IS NOT NULL OR exits.network IS NOT NULL AS usual
  FROM uses
  JOIN places ON places.home = uses.home AND places.instance = uses.instance
  LEFT JOIN spread ON spread.access_key = uses.access_key
  LEFT JOIN indoors ON indoors.profile = uses.profile
  LEFT JOIN known ON known.profile = uses.profile AND known.network = uses.network
  LEFT JOIN exits ON exits.home = uses.home AND exits.network = uses.network
),
marked AS (
  SELECT *, CASE
    WHEN kind = 'internet' AND ({knows_aws} OR elsewhere OR left_home)
      THEN 'UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS'
    WHEN kind = 'aws-ip' AND elsewhere OR foreign_endpoint
      THEN 'UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS' END AS rules
  FROM strange
  WHERE NOT usual AND profile IN (SELECT profile FROM asked)
)
SELECT profile, rules, api, access_key, account, address, outcome, sum(calls) AS calls
FROM marked
WHERE rules IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 1, 2, 3, 4, 5, 6, 7
