-- title: Use of language models
-- question: Who called or opened up models, how often, and how often was it refused?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1496.004 Resource Hijacking: Cloud Service Hijacking
SELECT actor, recipientaccountid, awsregion, eventname, coalesce(requestparameters ->> 'modelId', 'none') AS model,
       count(*) AS events,
       count(*) FILTER (WHERE outcome = 'success') AS succeeded, count(*) FILTER (WHERE outcome = 'denied') AS denied,
       count(DISTINCT sourceipaddress) AS addresses, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM events
WHERE eventsource IN ('bedrock.amazonaws.com', 'bedrock-runtime.amazonaws.com') AND eventtime > $since AND eventtime <= $until
  AND (regexp_like(eventname, '^(InvokeModel|Converse|PutFoundationModelEntitlement|PutUseCaseForModelAccess|CreateFoundationModelAgreement|StartAsyncInvoke)')
    OR eventname IN ('GetModelInvocationLoggingConfiguration', 'DeleteModelInvocationLoggingConfiguration'))
GROUP BY 1, 2, 3, 4, 5
ORDER BY events DESC, actor, recipientaccountid, awsregion, eventname, model
LIMIT $limit
