-- Sign-ins of one person from two countries within four hours, unless the person used both on two past days or more.
-- A role that several people hold is not one person.
WITH sign_ins AS (
  SELECT profile_of(actor) AS profile, event_date, eventtime,
    api_of(eventsource, eventname) AS api,
    coalesce(get_field(useridentity, 'accesskeyid'), '') AS access_key,
    coalesce(recipientaccountid, '(none)') AS account,
    coalesce(sourceipaddress, '(none)') AS address,
    source_country(sourceipaddress) AS country
  FROM events
  WHERE event_date BETWEEN DATE '{day_before}' AND DATE '{date}' AND {in_time}
    AND {delivered} AND actor IS NOT NULL
    AND eventsource = 'signin.amazonaws.com' AND eventname = 'ConsoleLogin' AND outcome = 'success'
),
people AS (
  SELECT * FROM sign_ins WHERE country IS NOT NULL AND actor_kind(profile) = 'person'
),
known AS (
  SELECT actor AS profile, source_country(split_part(value, '/', 1)) AS country, count(DISTINCT event_date) AS days
  FROM baselines
  WHERE feature = 'network' AND event_date BETWEEN DATE '{quarter_before}' AND DATE '{day_before}'
    AND actor IN (SELECT profile FROM people)
  GROUP BY 1, 2
  HAVING count(DISTINCT event_date) > 1
),
marked AS (
  SELECT people.*, known.days IS NOT NULL AS is_known
  FROM people LEFT JOIN known ON known.profile = people.profile AND known.country = people.country
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
