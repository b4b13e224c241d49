-- title: Activity by hour of the day
-- question: At which hours (UTC) and weekdays is an identity active, and is it active when it should sleep?
-- param actor text = %: the identity as in the column actor; % stands for any text
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 1000: rows at most
SELECT actor, CAST(date_part('dow', eventtime) AS BIGINT) AS weekday, CAST(date_part('hour', eventtime) AS BIGINT) AS hour,
       count(*) AS events,
       count(*) FILTER (WHERE outcome = 'denied') AS denied, count(DISTINCT sourceipaddress) AS addresses
FROM events
WHERE coalesce(actor, '') LIKE $actor AND eventtime > $since AND eventtime <= $until
GROUP BY 1, 2, 3
ORDER BY actor, weekday, hour
LIMIT $limit
