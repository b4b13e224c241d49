-- title: Timeline of an identity
-- question: What did this user, role, person or service do, in order?
-- param actor text: the identity as in the column actor, for example arn:aws:iam::111122223333:user/alice
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 1000: rows at most
SELECT eventtime, eventsource, eventname, outcome, errorcode, recipientaccountid, awsregion, sourceipaddress, useragent,
       requestparameters, eventid
FROM events
WHERE actor = $actor AND eventtime > $since AND eventtime <= $until
ORDER BY eventtime, eventid
LIMIT $limit
