-- Sign-ins of one person from two countries within four hours, unless the person used both on two past days or more.
-- A role that several people hold is not one person.
-- `sign_ins` are those of people on the day and the day before (`sign_ins.sql`), `asked` the people with two countries.
WITH known AS (
  SELECT actor AS profile, source_country(split_part(value, '/', 1)) AS country, count(DISTINCT event_date) AS days
  FROM baselines
  WHERE feature = 'network' AND event_date BETWEEN DATE '{quarter_before}' AND DATE '{day_before}'
    AND actor IN (SELECT profile FROM asked)
  GROUP BY 1, 2
  HAVING count(DISTINCT event_date) > 1
),
marked AS (
  SELECT sign_ins.*, known.days IS NOT NULL AS is_known
  FROM sign_ins LEFT JOIN known ON known.profile = sign_ins.profile AND known.country = sign_ins.country
),
met AS (
  SELECT DISTINCT a.profile, a.api, a.access_key, a.account, a.address, a.eventtime
  FROM marked a JOIN marked b ON a.profile = b.profile AND a.country <> b.country
  WHERE a.event_date = DATE '{date}' AND NOT (a.is_known AND b.is_known)
    AND a.eventtime BETWEEN b.eventtime - INTERVAL '4 hours' AND b.eventtime + INTERVAL '4 hours'
)
SELECT profile, 'UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B' AS rules, api, access_key, account, address,
  'success' AS outcome, count(*) AS calls
FROM met
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 1, 2, 3, 4, 5, 6, 7
