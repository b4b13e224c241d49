-- What counts as the past of a day: the lookback before it, AWS's own calls left out.
SELECT actor, account, feature, value, events, event_date
FROM baselines
WHERE event_date >= DATE '{from}' AND event_date < DATE '{to}' AND feature <> '_rows' AND actor_kind(actor) <> 'service'
