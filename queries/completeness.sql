-- title: Is what CloudTrail delivered all there?
-- question: How many hours of each trail are complete, and what is missing, changed or not ingested in the others?
-- param account text = all: an account, or all
-- param days integer = 7: length of the window
-- param until timestamp = newest: end of the window
-- param since timestamp = until - days: start of the window
SELECT account, region, trail, status, count(*) AS hours, min(hour) AS first_hour, max(hour) AS last_hour,
       sum(expected) AS expected, sum(ingested) AS ingested, sum(missing) AS missing, sum(modified) AS modified,
       sum(unreadable) AS unreadable, sum(late) AS late, max(verified_at) AS verified_at
FROM completeness
WHERE hour >= date_trunc('hour', $since) AND hour <= $until AND ($account = 'all' OR account = $account)
GROUP BY account, region, trail, status
ORDER BY account, region, trail, status
