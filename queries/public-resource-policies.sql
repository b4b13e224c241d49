-- title: Policies that let others in
-- question: Which policies of buckets, topics, queues, keys, secrets and repositories let everybody in, or an account that is not their own?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1098 Account Manipulation
WITH policies AS (
  SELECT *, coalesce(requestparameters ->> 'policy', requestparameters ->> 'policyText', requestparameters ->> 'resourcePolicy',
                     requestparameters ->> 'attributeValue', requestparameters -> 'attributes' ->> 'Policy',
                     requestparameters ->> 'bucketPolicy') AS policy
  FROM events
  WHERE outcome = 'success' AND eventtime > $since AND eventtime <= $until
    AND (eventsource = 's3.amazonaws.com' AND eventname = 'PutBucketPolicy'
      OR eventsource = 'sns.amazonaws.com' AND eventname IN ('SetTopicAttributes', 'CreateTopic')
      OR eventsource = 'sqs.amazonaws.com' AND eventname IN ('SetQueueAttributes', 'CreateQueue')
      OR eventsource = 'kms.amazonaws.com' AND eventname IN ('PutKeyPolicy', 'CreateKey')
      OR eventsource = 'secretsmanager.amazonaws.com' AND eventname = 'PutResourcePolicy'
      OR eventsource IN ('ecr.amazonaws.com', 'ecr-public.amazonaws.com') AND eventname = 'SetRepositoryPolicy'
      OR eventname IN ('PutResourcePolicy', 'PutFileSystemPolicy', 'PutVaultPolicy', 'SetVaultAccessPolicy',
        'PutBackupVaultAccessPolicy'))
), statements AS (
  SELECT eventid, unnest(coalesce(json_get_array(policy, 'Statement'), make_array(json_get_json(policy,
         'Statement')))) AS statement
  FROM policies
), allowed AS (
  SELECT s.eventid, statement ->> 'Principal' AS principal, json_contains(statement, 'Condition') AS conditioned,
         regexp_like(statement ->> 'Principal', '^\*$|"\*"') AS public
  FROM statements s JOIN policies p ON s.eventid = p.eventid
  WHERE statement ->> 'Effect' = 'Allow'
    AND regexp_like(replace(statement ->> 'Principal', p.recipientaccountid, ''), '^\*$|"\*"|[0-9]{12}')
)
SELECT eventtime, recipientaccountid, awsregion, actor, eventsource, eventname,
       coalesce(requestparameters ->> 'topicArn', requestparameters ->> 'queueUrl', requestparameters ->> 'keyId',
                requestparameters ->> 'secretId', requestparameters ->> 'repositoryName', requestparameters ->> 'bucketName',
                requestparameters ->> 'resourceArn') AS resource,
       allowed.principal, allowed.public, allowed.conditioned, sourceipaddress, allowed.eventid
FROM policies JOIN allowed ON policies.eventid = allowed.eventid
ORDER BY eventtime, allowed.eventid, allowed.principal
LIMIT $limit
