-- title: What may have been left behind
-- question: Which keys, users, trust, functions, grants and openings must a responder look at and undo?
-- param actor text = %: the identity as in the column actor; % stands for any text
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 500: rows at most
-- attack: T1098 Account Manipulation
WITH steps AS (
  SELECT *, CASE
    WHEN eventsource = 'iam.amazonaws.com' AND eventname IN ('CreateAccessKey', 'CreateServiceSpecificCredential',
      'UploadSSHPublicKey', 'UploadSigningCertificate') THEN 'credential'
    WHEN eventsource = 'iam.amazonaws.com' AND eventname IN ('CreateUser', 'CreateLoginProfile', 'UpdateLoginProfile',
      'CreateRole') THEN 'identity'
    WHEN eventsource = 'iam.amazonaws.com' AND eventname = 'UpdateAssumeRolePolicy' THEN 'trust'
    WHEN eventsource = 'iam.amazonaws.com' AND regexp_like(eventname, '^(Create|Update)(SAML|OpenIDConnect)Provider')
      OR eventsource = 'rolesanywhere.amazonaws.com' AND eventname IN ('CreateTrustAnchor', 'CreateProfile') THEN 'provider'
    WHEN eventsource = 'iam.amazonaws.com' AND regexp_like(eventname,
      '^(Attach|Put)(User|Role|Group)Policy$|^AddUserToGroup$|^CreatePolicyVersion$')
      THEN 'permission'
    WHEN eventsource = 'iam.amazonaws.com' AND eventname IN ('CreateVirtualMFADevice', 'EnableMFADevice',
      'DeactivateMFADevice') THEN 'second factor'
    WHEN eventsource = 'sts.amazonaws.com' AND eventname = 'GetFederationToken' THEN 'session that outlives its key'
    WHEN eventsource = 'lambda.amazonaws.com' AND regexp_like(eventname,
      '^(CreateFunction|UpdateFunctionCode|AddPermission|CreateEventSourceMapping|PublishLayerVersion)') THEN 'function'
    WHEN eventsource = 'ec2.amazonaws.com' AND eventname IN ('RunInstances', 'CreateKeyPair', 'ImportKeyPair',
      'AssociateIamInstanceProfile')
      OR eventsource = 'ec2.amazonaws.com' AND eventname = 'ModifyInstanceAttribute' AND json_contains(requestparameters,
        'userData') THEN 'machine'
    WHEN eventsource = 'ec2.amazonaws.com' AND eventname IN ('AuthorizeSecurityGroupIngress', 'CreateVpcPeeringConnection',
      'CreateRoute')
      THEN 'way in'
    WHEN eventsource = 'kms.amazonaws.com' AND eventname IN ('CreateGrant',
      'PutKeyPolicy') OR eventname = 'PutResourcePolicy' THEN 'grant'
    WHEN eventsource = 's3.amazonaws.com' AND eventname IN ('PutBucketPolicy', 'PutBucketAcl', 'PutBucketReplication',
      'PutBucketNotification')
      THEN 'bucket'
    WHEN eventsource = 'ssm.amazonaws.com' AND eventname IN ('CreateActivation', 'CreateAssociation',
      'CreateDocument') THEN 'command'
    WHEN eventsource = 'events.amazonaws.com' AND eventname IN ('PutRule', 'PutTargets')
      OR eventsource = 'scheduler.amazonaws.com' AND eventname = 'CreateSchedule' THEN 'schedule'
    END AS kind
  FROM events
  WHERE outcome = 'success' AND useridentity.invokedby IS NULL AND coalesce(actor, '') LIKE $actor AND eventtime > $since
    AND eventtime <= $until
)
SELECT kind, eventtime, recipientaccountid, awsregion, actor, eventname,
       coalesce(responseelements -> 'accessKey' ->> 'accessKeyId', requestparameters ->> 'userName',
                requestparameters ->> 'roleName', requestparameters ->> 'functionName', requestparameters ->> 'groupId', requestparameters ->> 'bucketName',
                requestparameters ->> 'keyId', requestparameters ->> 'name', requestparameters ->> 'instanceId') AS resource,
       sourceipaddress, eventid
FROM steps
WHERE kind IS NOT NULL
ORDER BY kind, eventtime, eventid
LIMIT $limit
