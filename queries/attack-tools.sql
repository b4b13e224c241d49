-- title: Programs of attackers and auditors
-- question: Who used programs made for attack or audit, or a system made for them?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1588.002 Obtain Capabilities: Tool
SELECT useragent, actor, count(*) AS events, count(*) FILTER (WHERE outcome = 'denied') AS denied,
       count(DISTINCT eventname) AS calls,
       string_agg(DISTINCT sourceipaddress, ' ' ORDER BY sourceipaddress) AS addresses, min(eventtime) AS first_seen,
       max(eventtime) AS last_seen
FROM events
WHERE eventtime > $since AND eventtime <= $until AND regexp_like(lower(useragent),
  concat('(^|[^a-z])(pacu|cloudfox|scout ?suite|prowler|trufflehog|stratus-red-team|kali|parrot|',
  'pentoo|blackarch|cloudsploit|cloudmapper|enumerate-iam|weirdaal|steampipe|cloudquery|nimbostratus|s3 browser|rclone|metasploit|sliver)([^a-z]|$)'))
GROUP BY useragent, actor
ORDER BY first_seen, useragent, actor
LIMIT $limit
