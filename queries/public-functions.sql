-- title: Functions opened to the world
-- question: Which Lambda functions and layers may anybody call, use or reach by URL?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1648 Serverless Execution
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, coalesce(requestparameters ->> 'functionName',
       requestparameters ->> 'layerName') AS resource,
       CASE WHEN eventname LIKE '%FunctionUrlConfig' THEN 'URL without sign-in' WHEN eventname LIKE 'AddLayer%' THEN 'layer for all' ELSE 'call by all' END AS opened,
       sourceipaddress, eventid
FROM events
WHERE eventsource = 'lambda.amazonaws.com' AND outcome = 'success' AND eventtime > $since AND eventtime <= $until
  -- names carry a version: AddPermission20150331v2
  AND (regexp_like(eventname, '^Add(Layer(Version)?)?Permission') AND requestparameters ->> 'principal' = '*'
    OR regexp_like(eventname, '^(Create|Update)FunctionUrlConfig') AND requestparameters ->> 'authType' = 'NONE')
ORDER BY eventtime, eventid
LIMIT $limit
