-- title: Functions made or changed
-- question: Whose code, layers, roles and triggers of functions were changed, and by whom?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1648 Serverless Execution
SELECT eventtime, recipientaccountid, awsregion, actor, regexp_replace(eventname, '20[0-9]{6}(v[0-9]+)?$', '') AS call, outcome,
       requestparameters ->> 'functionName' AS function, requestparameters ->> 'role' AS role,
       coalesce(requestparameters ->> 'layers', requestparameters ->> 'eventSourceArn') AS brings, sourceipaddress, eventid
FROM events
WHERE eventsource = 'lambda.amazonaws.com' AND eventtime > $since AND eventtime <= $until
  AND regexp_like(eventname, concat('^(CreateFunction|UpdateFunctionCode|UpdateFunctionConfiguration|',
    'CreateEventSourceMapping|UpdateEventSourceMapping|AddPermission|PublishLayerVersion|UpdateAlias)'))
ORDER BY eventtime, eventid
LIMIT $limit
