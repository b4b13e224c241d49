-- title: All about a resource
-- question: Who did what to this bucket, role, key, instance or function?
-- param resource text: its name, id or ARN, or a part of that
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 1000: rows at most
WITH named AS (
  SELECT eventid FROM (SELECT eventid, unnest(resources) AS resource FROM events WHERE eventtime > $since AND eventtime <= $until)
  WHERE strpos(resource['arn'], $resource) > 0
)
SELECT eventtime, recipientaccountid, awsregion, actor, eventsource, eventname, outcome, errorcode, sourceipaddress, useragent,
       requestparameters, eventid
FROM events
WHERE eventtime > $since AND eventtime <= $until
  AND (strpos(requestparameters, $resource) > 0 OR strpos(responseelements,
    $resource) > 0 OR eventid IN (SELECT eventid FROM named))
ORDER BY eventtime, eventid
LIMIT $limit
