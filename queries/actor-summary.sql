-- title: Summary of an identity
-- question: What has this identity done, in numbers, for each account: calls, failures, regions, addresses, keys?
-- param actor text: the identity as in the column actor
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
SELECT recipientaccountid, count(*) AS events, count(*) FILTER (WHERE outcome = 'success') AS succeeded,
       count(*) FILTER (WHERE outcome = 'denied') AS denied, count(*) FILTER (WHERE outcome NOT IN ('success',
       'denied')) AS failed_otherwise,
       count(*) FILTER (WHERE NOT readonly) AS writes, count(DISTINCT eventsource || eventname) AS calls,
       count(DISTINCT eventsource) AS services,
       count(DISTINCT sourceipaddress) AS addresses, count(DISTINCT useragent) AS agents,
       count(DISTINCT useridentity.accesskeyid) AS keys,
       string_agg(DISTINCT awsregion, ' ' ORDER BY awsregion) AS regions, min(eventtime) AS first_seen,
       max(eventtime) AS last_seen
FROM events
WHERE actor = $actor AND eventtime > $since AND eventtime <= $until
GROUP BY recipientaccountid
ORDER BY events DESC, recipientaccountid
LIMIT $limit
