-- The events that carry the surprise: `carriers` holds for each flagged actor the values and their bits.
WITH flagged AS (SELECT DISTINCT actor FROM carriers),
weighed AS (
  SELECT f.*,
    coalesce(c1.millibits, 0) + coalesce(c2.millibits, 0) + coalesce(c3.millibits, 0) + coalesce(c4.millibits, 0)
    + coalesce(c5.millibits, 0) + coalesce(c6.millibits, 0) + coalesce(c7.millibits, 0) + coalesce(c8.millibits, 0)
    + coalesce(c9.millibits, 0) AS millibits,
    coalesce(c1.millibits, 0) AS api_millibits
  FROM trail_features f
  JOIN flagged g ON g.actor = f.profile
  LEFT JOIN carriers c1 ON c1.actor = f.profile AND c1.feature = 'api' AND c1.value = f.api
  LEFT JOIN carriers c2 ON c2.actor = f.profile AND c2.feature = 'service' AND c2.value = f.service
  LEFT JOIN carriers c3 ON c3.actor = f.profile AND c3.feature = 'region' AND c3.value = f.region
  LEFT JOIN carriers c4 ON c4.actor = f.profile AND c4.feature = 'network' AND c4.value = f.network
  LEFT JOIN carriers c5 ON c5.actor = f.profile AND c5.feature = 'network_wide' AND c5.value = f.network_wide
  LEFT JOIN carriers c6 ON c6.actor = f.profile AND c6.feature = 'user_agent' AND c6.value = f.user_agent
  LEFT JOIN carriers c7 ON c7.actor = f.profile AND c7.feature = 'outcome' AND c7.value = f.outcome
  LEFT JOIN carriers c8 ON c8.actor = f.profile AND c8.feature = 'account' AND c8.value = f.account
  LEFT JOIN carriers c9 ON c9.actor = f.profile AND c9.feature = 'hour' AND c9.value = f.hour
  WHERE f.event_date = DATE '{date}' AND f.eventtime < TIMESTAMP '{before}'
),
ranked AS (
  SELECT *,
    max(millibits) OVER (PARTITION BY profile) AS best,
    row_number() OVER (PARTITION BY profile ORDER BY millibits DESC, eventtime, eventhash) AS place
  FROM weighed WHERE millibits > 0
)
SELECT profile, actor, account, api, region, outcome, eventtime, eventid, eventhash, eventsource, eventname,
  sourceipaddress, useragent, millibits, api_millibits,
  get_field(useridentity, 'type') AS identity_type,
  get_field(useridentity, 'principalid') AS principal_id,
  get_field(useridentity, 'accesskeyid') AS access_key_id,
  get_field(useridentity, 'username') AS user_name
FROM ranked
WHERE place <= {limit} AND millibits * 10 >= best * 3
ORDER BY profile, eventtime, eventid, eventhash
