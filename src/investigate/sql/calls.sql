SELECT concat(split_part(eventsource, '.', 1), ':', eventname) AS api, api_tactic(eventsource, eventname) AS tactic,
       api_stake(eventsource, eventname) AS stake, count(*) AS events,
       count(*) FILTER (WHERE outcome = 'success') AS succeeded, count(*) FILTER (WHERE outcome = 'denied') AS denied,
       count(*) FILTER (WHERE outcome NOT IN ('success', 'denied')) AS failed, min(eventtime) AS first, max(eventtime) AS last
FROM events
GROUP BY eventsource, eventname
ORDER BY stake DESC, events DESC, api
LIMIT 300
