-- One day in one pass: calls per profile, account, feature and value. The `account` feature is the set without a value.
SELECT
  profile AS actor,
  account,
  CASE
    WHEN api IS NOT NULL THEN 'api'
    WHEN service IS NOT NULL THEN 'service'
    WHEN region IS NOT NULL THEN 'region'
    WHEN network IS NOT NULL THEN 'network'
    WHEN network_wide IS NOT NULL THEN 'network_wide'
    WHEN user_agent IS NOT NULL THEN 'user_agent'
    WHEN outcome IS NOT NULL THEN 'outcome'
    WHEN hour IS NOT NULL THEN 'hour'
    WHEN access IS NOT NULL THEN 'access'
    ELSE 'account'
  END AS feature,
  coalesce(api, service, region, network, network_wide, user_agent, outcome, hour, access, account) AS value,
  count(*) AS events,
  min(eventtime) AS first_time,
  max(eventtime) AS last_time,
  bit_or(CAST(1 AS BIGINT) << CAST(date_part('hour', eventtime) AS BIGINT)) AS hours
FROM trail_features
WHERE event_date = DATE '{date}' AND eventtime < TIMESTAMP '{before}'
GROUP BY GROUPING SETS (
  (profile, account, api),
  (profile, account, service),
  (profile, account, region),
  (profile, account, network),
  (profile, account, network_wide),
  (profile, account, user_agent),
  (profile, account, outcome),
  (profile, account, hour),
  (profile, account, access),
  (profile, account)
)
ORDER BY actor, account, feature, value
