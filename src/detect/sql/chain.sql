-- How the keys in question were made, on the day or the day before; of the two copies of a call between accounts, the caller's.
WITH issued AS (
  SELECT issued_key_of(responseelements) AS access_key, actor, api_of(eventsource, eventname) AS call, eventtime,
    nullif(get_field(useridentity, 'accesskeyid'), '') AS made_with
  FROM events
  WHERE event_date BETWEEN DATE '{day_before}' AND DATE '{date}' AND {in_time}
    AND {delivered} AND eventsource = 'sts.amazonaws.com' AND responseelements IS NOT NULL AND actor IS NOT NULL
),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY access_key ORDER BY made_with IS NULL, eventtime, actor, call) AS place
  FROM issued
  WHERE access_key IN (SELECT access_key FROM asked)
)
SELECT access_key, actor, call, made_with, eventtime
FROM ranked
WHERE place = 1
ORDER BY access_key
