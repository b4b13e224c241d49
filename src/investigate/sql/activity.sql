WITH calls AS (
  SELECT concat(split_part(eventsource, '.', 1), ':', eventname) AS api,
         CAST(floor(extract(epoch FROM eventtime) / $step) AS BIGINT) AS step, outcome
  FROM events
), busiest AS (
  SELECT api, count(*) AS n FROM calls GROUP BY api ORDER BY n DESC, api LIMIT 30
)
SELECT calls.api, calls.step, count(*) AS events, count(*) FILTER (WHERE outcome IN ('denied', 'auth_failed')) AS denied
FROM calls JOIN busiest ON calls.api = busiest.api
GROUP BY calls.api, calls.step, busiest.n
ORDER BY busiest.n DESC, calls.api, calls.step
LIMIT 10000
