-- Values that an actor used today and never in its past, with how many others ever did.
WITH known AS (SELECT DISTINCT actor, feature, value FROM past),
in_organization AS (
  SELECT feature, value, count(DISTINCT actor) AS users FROM past GROUP BY feature, value
),
in_account AS (
  SELECT account, feature, value, count(DISTINCT actor) AS users FROM past GROUP BY account, feature, value
)
SELECT t.actor, t.account, t.feature, t.value, t.events, t.first_time, t.last_time, t.hours,
  coalesce(o.users, 0) AS organization_users, coalesce(a.users, 0) AS account_users
FROM today t
LEFT ANTI JOIN known k ON k.actor = t.actor AND k.feature = t.feature AND k.value = t.value
LEFT JOIN in_organization o ON o.feature = t.feature AND o.value = t.value
LEFT JOIN in_account a ON a.account = t.account AND a.feature = t.feature AND a.value = t.value
WHERE t.feature <> 'access'
ORDER BY t.actor, t.feature, t.value, t.account
