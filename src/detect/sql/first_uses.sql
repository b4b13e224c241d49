-- When each actor first used each value, summed by day as surprise in thousandths of a bit: integers, so that the
-- sum does not depend on the order in which threads deliver rows. The formula is `model::backoff`, the actor itself
-- not counted among the users.
WITH firsts AS (
  SELECT actor, feature, value, min(account) AS account, min(event_date) AS first_date
  FROM past WHERE feature <> 'access' GROUP BY actor, feature, value
),
in_organization AS (
  SELECT feature, value, count(DISTINCT actor) AS users FROM past GROUP BY feature, value
),
in_account AS (
  SELECT account, feature, value, count(DISTINCT actor) AS users FROM past GROUP BY account, feature, value
),
actors AS (SELECT count(DISTINCT actor) AS organization FROM past),
account_actors AS (SELECT account, count(DISTINCT actor) AS actors FROM past GROUP BY account),
rated AS (
  SELECT f.actor, f.feature, f.first_date,
    -log2(
      (CAST(a.users - 1 AS DOUBLE) + {pull} * (CAST(o.users - 1 AS DOUBLE) + {unseen}) / (n.organization + 1))
      / (m.actors + {pull})
    ) AS bits
  FROM firsts f
  JOIN in_organization o ON o.feature = f.feature AND o.value = f.value
  JOIN in_account a ON a.account = f.account AND a.feature = f.feature AND a.value = f.value
  JOIN account_actors m ON m.account = f.account
  CROSS JOIN actors n
)
SELECT actor, feature, first_date, sum(CAST(round(greatest(bits, 0.0) * 1000.0) AS BIGINT)) AS millibits
FROM rated
GROUP BY actor, feature, first_date
ORDER BY actor, feature, first_date
