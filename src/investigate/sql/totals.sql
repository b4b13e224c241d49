SELECT count(*) AS events, count(*) FILTER (WHERE outcome = 'success') AS succeeded,
       count(*) FILTER (WHERE outcome IN ('denied', 'auth_failed')) AS denied,
       min(eventtime) AS first, max(eventtime) AS last, count(*) FILTER (WHERE NOT readonly) AS writes,
       count(DISTINCT concat(eventsource, eventname)) AS apis
FROM events
