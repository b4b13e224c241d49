-- Who made the keys in question, on the day or the day before.
WITH issued AS (
  SELECT profile_of(actor) AS profile, issued_key_of(responseelements) AS access_key
  FROM events
  WHERE event_date BETWEEN DATE '{day_before}' AND DATE '{date}' AND eventsource = 'sts.amazonaws.com'
    AND responseelements IS NOT NULL AND actor IS NOT NULL
)
SELECT access_key, min(profile) AS profile
FROM issued
WHERE access_key IN (SELECT access_key FROM asked)
GROUP BY access_key
ORDER BY access_key
