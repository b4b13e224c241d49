-- title: Unusual activity that CloudTrail Insights saw
-- question: Which APIs were called, or failed, unusually often, when, how much more than usual, and is it over?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 1000: rows at most
SELECT min(eventtime) FILTER (WHERE state = 'Start') AS started, max(eventtime) FILTER (WHERE state = 'End') AS ended,
       recipientaccountid, awsregion, eventsource, eventname, insighttype, errorcode,
       max(insight_average) AS insight_average, max(baseline_average) AS baseline_average,
       max(insight_minutes) AS minutes, sharedeventid
FROM insights
WHERE eventtime > $since AND eventtime <= $until
GROUP BY recipientaccountid, awsregion, eventsource, eventname, insighttype, errorcode, sharedeventid
ORDER BY max(eventtime) DESC, sharedeventid
LIMIT $limit
