-- title: Access from other accounts
-- question: Which identities of other accounts, or nobody known, acted in which of our accounts?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1199 Trusted Relationship
SELECT useridentity.accountid AS from_account, recipientaccountid, coalesce(actor, useridentity.principalid) AS caller,
       eventsource, eventname,
       count(*) AS events, count(*) FILTER (WHERE outcome = 'denied') AS denied, count(DISTINCT sourceipaddress) AS addresses,
       min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE useridentity.accountid <> recipientaccountid AND useridentity.type <> 'AWSService' AND useridentity.invokedby IS NULL
  AND eventtime > $since AND eventtime <= $until
GROUP BY useridentity.accountid, recipientaccountid, coalesce(actor, useridentity.principalid), eventsource, eventname
ORDER BY first_seen, from_account, recipientaccountid, caller, eventsource, eventname
LIMIT $limit
