-- A date's baselines in the order in which they are summed.
SELECT actor, account, feature, value, events
FROM baselines
WHERE event_date = DATE '{date}'
ORDER BY actor, account, feature, value, events
