-- title: Events behind a finding
-- question: What did the identity of this finding do while it lasted?
-- param finding text: the id of the finding
-- param limit integer = 1000: rows at most
WITH finding AS (
  SELECT actor AS who, account AS of_account, first_seen, last_seen
  FROM findings
  WHERE id = $finding
  ORDER BY detected_at DESC, content_hash
  LIMIT 1
)
SELECT eventtime, actor, eventsource, eventname, outcome, errorcode, recipientaccountid, awsregion, sourceipaddress, useragent,
       eventid
FROM events JOIN finding ON actor = who
WHERE eventtime >= first_seen AND eventtime <= last_seen
ORDER BY eventtime, eventid
LIMIT $limit
