-- Calls that a rule over single events names (`rules.toml`); `rules` are the types, separated by blanks.
WITH day AS (
  SELECT *,
    coalesce(eventsource = 's3.amazonaws.com' AND eventcategory = 'Data', false) AS s3_data,
    source_list(sourceipaddress) AS listed,
    distribution_of(useragent) AS distribution
  FROM events
  WHERE actor IS NOT NULL AND event_date = DATE '{date}' AND {in_time} AND {delivered}
),
marked AS (
  SELECT *, profile_of(actor) AS profile, concat_ws(' ', {cases}) AS rules
  FROM day
  WHERE {events}
)
SELECT profile, rules,
  api_of(eventsource, eventname) AS api,
  coalesce(get_field(useridentity, 'accesskeyid'), '') AS access_key,
  coalesce(recipientaccountid, '(none)') AS account,
  coalesce(sourceipaddress, '(none)') AS address,
  coalesce(outcome, 'success') AS outcome,
  count(*) AS calls
FROM marked
WHERE rules <> '' AND actor_kind(profile) <> 'service'
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 1, 2, 3, 4, 5, 6, 7
