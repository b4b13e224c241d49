-- title: Keys used from many addresses
-- question: Which access keys were used from many addresses, how spread in time?
-- param addresses integer = 3: addresses at least
-- param days integer = 1: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
SELECT useridentity.accesskeyid AS accesskeyid, min(actor) AS actor, count(DISTINCT sourceipaddress) AS addresses,
       count(DISTINCT useragent) AS agents,
       count(DISTINCT awsregion) AS regions, count(*) AS events, string_agg(DISTINCT sourceipaddress,
       ' ' ORDER BY sourceipaddress) AS used_from,
       min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE useridentity.accesskeyid <> '' AND useridentity.invokedby IS NULL AND regexp_like(sourceipaddress, '^[0-9a-f:.]+$')
  AND eventtime > $since AND eventtime <= $until
GROUP BY useridentity.accesskeyid
HAVING count(DISTINCT sourceipaddress) >= $addresses
ORDER BY addresses DESC, events DESC, accesskeyid
LIMIT $limit
