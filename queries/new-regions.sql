-- title: Regions never used before
-- question: In which regions did an account start to act within the window, having been active elsewhere before?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 100: rows at most
-- attack: T1535 Unused/Unsupported Cloud Regions
WITH regions AS (
  SELECT recipientaccountid, awsregion, min(eventtime) AS first_seen, count(*) AS events, count(DISTINCT actor) AS actors,
         first_value(actor ORDER BY eventtime, eventid) AS first_actor,
         first_value(eventname ORDER BY eventtime, eventid) AS first_call
  FROM events
  WHERE eventtime <= $until
  GROUP BY recipientaccountid, awsregion
), accounts AS (
  SELECT recipientaccountid, min(first_seen) AS first_seen FROM regions GROUP BY recipientaccountid
)
SELECT regions.recipientaccountid, awsregion, regions.first_seen, first_actor, first_call, actors, events
FROM regions JOIN accounts ON regions.recipientaccountid = accounts.recipientaccountid
WHERE regions.first_seen > $since
  AND accounts.first_seen <= $since
ORDER BY regions.first_seen, regions.recipientaccountid, awsregion
LIMIT $limit
