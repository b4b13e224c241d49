-- Volume and breadth of every actor-day.
WITH merged AS (
  SELECT actor, event_date, feature, value, sum(events) AS events FROM {source} GROUP BY actor, event_date, feature, value
)
SELECT
  actor,
  event_date,
  coalesce(sum(events) FILTER (WHERE feature = 'api'), 0) AS calls,
  count(*) FILTER (WHERE feature = 'api') AS apis,
  count(*) FILTER (WHERE feature = 'service') AS services,
  count(*) FILTER (WHERE feature = 'region') AS regions,
  count(*) FILTER (WHERE feature = 'network') AS networks,
  count(*) FILTER (WHERE feature = 'user_agent') AS agents,
  count(*) FILTER (WHERE feature = 'account') AS accounts,
  count(*) FILTER (WHERE feature = 'hour') AS hours,
  coalesce(sum(events) FILTER (WHERE feature = 'outcome' AND value IN ('denied', 'auth_failed')), 0) AS denied,
  coalesce(sum(events) FILTER (WHERE feature = 'outcome' AND value <> 'success'), 0) AS failed,
  coalesce(sum(events) FILTER (WHERE feature = 'access' AND value = 'write'), 0) AS writes
FROM merged
GROUP BY actor, event_date
ORDER BY actor, event_date
