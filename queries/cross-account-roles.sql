-- title: Roles taken from other accounts
-- question: Which of our roles did other accounts take, and had they taken them before the window?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1199 Trusted Relationship
WITH taken AS (
  SELECT coalesce(useridentity.accountid, useridentity.type) AS from_account, recipientaccountid,
         requestparameters ->> 'roleArn' AS role,
         requestparameters ->> 'externalId' IS NOT NULL AS external_id, eventtime, sourceipaddress
  FROM events
  WHERE eventsource = 'sts.amazonaws.com' AND eventname = 'AssumeRole' AND outcome = 'success' AND eventtime <= $until
    AND useridentity.type <> 'AWSService'
    -- the copy of the account whose role it is
    AND strpos(requestparameters ->> 'roleArn', concat(':', recipientaccountid, ':')) > 0
    AND useridentity.accountid <> recipientaccountid
)
SELECT from_account, recipientaccountid, role, count(*) FILTER (WHERE eventtime > $since) AS times,
       bool_and(external_id) AS external_id,
       count(DISTINCT sourceipaddress) AS addresses, min(eventtime) > $since AS new, min(eventtime) AS first_seen,
       max(eventtime) AS last_seen
FROM taken
GROUP BY from_account, recipientaccountid, role
HAVING max(eventtime) > $since
ORDER BY new DESC, first_seen, from_account, recipientaccountid, role
LIMIT $limit
