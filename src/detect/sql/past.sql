-- The baselines of dates.
SELECT event_date, actor, account, feature, value, events
FROM baselines
WHERE event_date BETWEEN DATE '{first}' AND DATE '{last}'
