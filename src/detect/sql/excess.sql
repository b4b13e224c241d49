-- For every actor the API whose calls today exceed its past daily mean the most.
WITH days AS (SELECT actor, count(DISTINCT event_date) AS days FROM past WHERE feature = 'api' GROUP BY actor),
usual AS (SELECT actor, value, sum(events) AS events FROM past WHERE feature = 'api' GROUP BY actor, value),
now_used AS (SELECT actor, value, sum(events) AS events FROM today WHERE feature = 'api' GROUP BY actor, value),
compared AS (
  SELECT n.actor, n.value, n.events AS observed,
    n.events * greatest(coalesce(d.days, 0), 1) - coalesce(u.events, 0) AS excess
  FROM now_used n
  LEFT JOIN days d ON d.actor = n.actor
  LEFT JOIN usual u ON u.actor = n.actor AND u.value = n.value
),
ranked AS (
  SELECT actor, value, observed, row_number() OVER (PARTITION BY actor ORDER BY excess DESC, value) AS place FROM compared
)
SELECT actor, value, observed FROM ranked WHERE place = 1 ORDER BY actor
