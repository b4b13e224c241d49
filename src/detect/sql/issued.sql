-- A day's calls that made temporary keys.
SELECT responseelements, actor, api_of(eventsource, eventname) AS call, eventtime,
  nullif(get_field(useridentity, 'accesskeyid'), '') AS made_with
FROM events
WHERE event_date = DATE '{date}' AND {in_time} AND {delivered} AND eventsource = 'sts.amazonaws.com'
  AND responseelements IS NOT NULL AND actor IS NOT NULL
