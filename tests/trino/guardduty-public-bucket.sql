SELECT eventtime, get_json_object(requestparameters, '$.bucketName') AS bucket,
       get_aws_principal(get_json_object(requestparameters, '$.bucketPolicy'), 'Allow') AS principals
FROM events WHERE eventname = 'PutBucketPolicy'
  AND policy_has_public_principal(get_json_object(requestparameters, '$.bucketPolicy'), 'Allow') ORDER BY 1, 2
