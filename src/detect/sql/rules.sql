-- Events that are findings by themselves; `agent` is the lower-case user agent's distribution.
WITH marked AS (
  SELECT *,
    CASE
      WHEN lower(useragent) LIKE '%kali%' THEN 'PenTest:IAMUser/KaliLinux'
      WHEN lower(useragent) LIKE '%parrot%' THEN 'PenTest:IAMUser/ParrotLinux'
      WHEN lower(useragent) LIKE '%pentoo%' THEN 'PenTest:IAMUser/PentooLinux'
    END AS distribution,
    CASE WHEN outcome = 'success' AND api IN ('cloudtrail:StopLogging', 'cloudtrail:DeleteTrail')
      THEN 'Stealth:IAMUser/CloudTrailLoggingDisabled' END AS stealth,
    CASE WHEN get_field(useridentity, 'type') = 'Root' AND get_field(useridentity, 'invokedby') IS NULL
      THEN 'Policy:IAMUser/RootCredentialUsage' END AS root
  FROM trail_features
  WHERE event_date = DATE '{date}' AND eventtime < TIMESTAMP '{before}'
)
SELECT profile AS actor, 'api' AS feature, coalesce(distribution, stealth, root) AS rule, api AS value,
  user_agent, count(*) AS events, min(eventtime) AS first_time, max(eventtime) AS last_time
FROM marked
WHERE coalesce(distribution, stealth, root) IS NOT NULL
GROUP BY profile, coalesce(distribution, stealth, root), api, user_agent
ORDER BY actor, rule, value, user_agent
