SELECT eventName, cardinality(filter(resources, r -> r.type = 'AWS::S3::Bucket')) AS buckets,
       transform(resources, r -> r.accountId) AS owners
FROM $EDS_ID WHERE any_match(resources, r -> r.arn LIKE 'arn:aws:s3:::%') ORDER BY eventTime, eventID LIMIT 5
