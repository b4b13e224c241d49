SELECT session_id, min(eventtime) AS first, first_value(eventid ORDER BY eventtime, eventid) AS event_id
FROM events
WHERE session_id IS NOT NULL AND useridentity.invokedby IS NULL
GROUP BY session_id
ORDER BY first, session_id
LIMIT 300
