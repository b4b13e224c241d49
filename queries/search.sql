-- title: Search
-- question: Which events have this word, match this regular expression, and have these values?
-- param word text = : text in any part of the event, in any case
-- param regex text = : regular expression for any part of the event
-- param actor text = %: as in actor or actor_root; % stands for any text, here and below
-- param account text = %: recipientAccountId
-- param region text = %: awsRegion
-- param service text = %: eventSource without .amazonaws.com
-- param api text = %: eventName
-- param address text = %: sourceIPAddress
-- param key text = %: accessKeyId
-- param outcome text = %: success, denied, auth_failed, not_found, invalid, throttled, dry_run, service_error
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 1000: rows at most
WITH calls AS (
  SELECT *, concat_ws(' ', eventname, eventsource, awsregion, actor, actor_root, useridentity.arn, useridentity.principalid,
                      useridentity.accesskeyid, sourceipaddress, useragent, errorcode, errormessage, requestparameters,
                      responseelements, additionaleventdata, serviceeventdetails, resources[1]['arn'], resources[2]['arn'],
                      requestid, eventid, vpcendpointid, extra) AS whole
  FROM events_by_actor
  WHERE eventtime > $since AND eventtime <= $until AND coalesce(recipientaccountid, '') LIKE $account
    AND coalesce(awsregion, '') LIKE $region AND coalesce(split_part(eventsource, '.amazonaws.com', 1), '') LIKE $service
    AND coalesce(eventname, '') LIKE $api AND coalesce(sourceipaddress, '') LIKE $address
    AND coalesce(useridentity.accesskeyid, '') LIKE $key AND coalesce(outcome, '') LIKE $outcome
    AND (coalesce(actor, '') LIKE $actor OR coalesce(actor_root, '') LIKE $actor)
)
SELECT eventtime, recipientaccountid, awsregion, actor, actor_root, eventsource, eventname, outcome, errorcode, sourceipaddress,
       useragent, requestparameters, eventid
FROM calls
WHERE ($word = '' OR strpos(lower(whole), lower($word)) > 0) AND ($regex = '' OR regexp_like(whole, $regex))
ORDER BY eventtime, eventid
LIMIT $limit
