-- A date's baselines.
SELECT actor, account, feature, value, events
FROM baselines
WHERE event_date = DATE '{date}'
