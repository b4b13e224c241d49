-- title: Credentials of a machine used elsewhere
-- question: Which keys of an instance were used from more than one address of the internet?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1552.005 Unsecured Credentials: Cloud Instance Metadata API
SELECT useridentity.accesskeyid AS accesskeyid, min(split_part(useridentity.principalid, ':', 2)) AS instance,
       min(actor) AS actor,
       count(DISTINCT sourceipaddress) AS addresses, string_agg(DISTINCT sourceipaddress,
       ' ' ORDER BY sourceipaddress) AS used_from,
       count(DISTINCT useragent) AS agents, count(*) AS events, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE (useridentity.sessioncontext.ec2roledelivery IS NOT NULL OR regexp_like(split_part(useridentity.principalid, ':', 2),
  '^i-[0-9a-f]{8,17}$'))
  AND regexp_like(sourceipaddress, '^[0-9a-f:.]+$') AND eventtime > $since AND eventtime <= $until
  -- through an endpoint a machine shows its private address
  AND NOT regexp_like(sourceipaddress, '^(10[.]|192[.]168[.]|172[.](1[6-9]|2[0-9]|3[01])[.]|f[cd])')
GROUP BY useridentity.accesskeyid
HAVING count(DISTINCT sourceipaddress) > 1
ORDER BY first_seen, accesskeyid
LIMIT $limit
