-- title: Buckets opened to the world
-- question: Which buckets were opened to everybody by policy, list of grants or by taking the block away?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1530 Data from Cloud Storage
WITH changes AS (
  SELECT *, requestparameters ->> 'bucketName' AS bucket,
         -- one statement may stand without brackets
         coalesce(json_get_array(requestparameters, 'bucketPolicy', 'Statement'),
                  make_array(json_get_json(requestparameters, 'bucketPolicy', 'Statement'))) AS statements
  FROM events
  WHERE eventsource = 's3.amazonaws.com' AND outcome = 'success' AND eventtime > $since AND eventtime <= $until
    AND eventname IN ('PutBucketPolicy', 'PutBucketAcl', 'DeleteBucketPublicAccessBlock', 'PutBucketPublicAccessBlock',
      'PutBucketWebsite', 'CreateBucket')
), allowed AS (
  SELECT eventid, bool_and(json_contains(statement, 'Condition')) AS conditioned
  FROM (SELECT eventid, unnest(statements) AS statement FROM changes WHERE eventname = 'PutBucketPolicy')
  WHERE statement ->> 'Effect' = 'Allow'
    AND (statement ->> 'Principal' = '*' OR statement -> 'Principal' ->> 'AWS' = '*'
      OR array_has(json_get_array(statement, 'Principal', 'AWS'), '"*"'))
  GROUP BY eventid
)
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, bucket,
       CASE WHEN allowed.conditioned THEN 'policy, under a condition'
            WHEN eventname = 'PutBucketPolicy' THEN 'policy'
            WHEN eventname IN ('PutBucketAcl', 'CreateBucket') THEN 'list of grants'
            WHEN eventname = 'PutBucketWebsite' THEN 'website'
            ELSE 'block taken away' END AS opened_by,
       sourceipaddress, changes.eventid
FROM changes LEFT JOIN allowed ON changes.eventid = allowed.eventid
WHERE CASE
  WHEN eventname = 'PutBucketPolicy' THEN allowed.eventid IS NOT NULL
  WHEN eventname IN ('PutBucketAcl', 'CreateBucket') THEN requestparameters LIKE '%global/AllUsers%'
    OR requestparameters LIKE '%global/AuthenticatedUsers%' OR requestparameters LIKE '%"public-read%'
  WHEN eventname = 'PutBucketPublicAccessBlock' THEN requestparameters LIKE '%false%'
  ELSE true
END
ORDER BY eventtime, changes.eventid
LIMIT $limit
