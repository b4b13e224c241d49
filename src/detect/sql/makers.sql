-- Who made the keys in question, on the day or the day before; of the two copies of a call between accounts, the caller's.
WITH issued AS (
  SELECT profile_of(actor) AS profile, issued_key_of(responseelements) AS access_key, eventtime,
    nullif(get_field(useridentity, 'accesskeyid'), '') AS made_with
  FROM events
  WHERE event_date BETWEEN DATE '{day_before}' AND DATE '{date}' AND eventsource = 'sts.amazonaws.com'
    AND responseelements IS NOT NULL AND actor IS NOT NULL
),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY access_key ORDER BY made_with IS NULL, eventtime, profile) AS place
  FROM issued
  WHERE access_key IN (SELECT access_key FROM asked)
)
SELECT access_key, profile
FROM ranked
WHERE place = 1
ORDER BY access_key
