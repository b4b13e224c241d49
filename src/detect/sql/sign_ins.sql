-- People's sign-ins at the console, on a day and the day before.
WITH signed_in AS (
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
)
SELECT * FROM signed_in WHERE country IS NOT NULL AND actor_kind(profile) = 'person'
