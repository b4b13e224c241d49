-- Events that are findings by themselves, of the kinds that GuardDuty raises from CloudTrail alone.
WITH day AS (
  SELECT *, profile_of(actor) AS profile, api_of(eventsource, eventname) AS api, lower(useragent) AS agent
  FROM events
  WHERE actor IS NOT NULL AND event_date = DATE '{date}' AND eventtime < TIMESTAMP '{before}' AND {delivered}
),
marked AS (
  SELECT *,
    CASE
      WHEN agent LIKE '%kali%' THEN 'PenTest:IAMUser/KaliLinux'
      WHEN agent LIKE '%parrot%' THEN 'PenTest:IAMUser/ParrotLinux'
      WHEN agent LIKE '%pentoo%' THEN 'PenTest:IAMUser/PentooLinux'
      WHEN outcome = 'success' AND api IN ('cloudtrail:StopLogging', 'cloudtrail:DeleteTrail')
        THEN 'Stealth:IAMUser/CloudTrailLoggingDisabled'
      WHEN outcome = 'success' AND api IN ('iam:UpdateAccountPasswordPolicy', 'iam:DeleteAccountPasswordPolicy')
        THEN 'Stealth:IAMUser/PasswordPolicyChange'
      WHEN get_field(useridentity, 'type') = 'Root' AND get_field(useridentity, 'invokedby') IS NULL
        THEN 'Policy:IAMUser/RootCredentialUsage'
    END AS rule
  FROM day
)
SELECT profile, rule, api, count(*) AS calls, max(eventtime) AS last_time
FROM marked
WHERE rule IS NOT NULL AND actor_kind(profile) <> 'service'
GROUP BY profile, rule, api
ORDER BY profile, rule, api
