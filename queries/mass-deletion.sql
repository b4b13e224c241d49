-- title: Deletion in bulk
-- question: Who deleted, stopped or ended many things within one hour?
-- param deletions integer = 20: deletions at least
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1485 Data Destruction
SELECT date_trunc('hour', eventtime) AS hour, recipientaccountid, actor, count(*) AS deletions,
       count(DISTINCT eventsource) AS services,
       string_agg(DISTINCT eventname, ' ' ORDER BY eventname) AS calls, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE outcome = 'success' AND NOT coalesce(readonly, false) AND regexp_like(eventname,
  '^(Delete|Terminate|Stop|Disable|Remove|Deregister|Purge|Schedule.*Deletion)')
  AND useridentity.invokedby IS NULL AND eventtime > $since AND eventtime <= $until
GROUP BY date_trunc('hour', eventtime), recipientaccountid, actor
HAVING count(*) >= $deletions
ORDER BY deletions DESC, hour, recipientaccountid, actor
LIMIT $limit
