SELECT a.eventName AS made, b.eventName AS used, b.userIdentity.accessKeyId AS key
FROM 0a1b2c3d-4e5f-6789-abcd-ef0123456789 a JOIN 11111111-2222-3333-4444-555555555555 AS b
  ON json_extract_scalar(a.responseElements, '$.credentials.accessKeyId') = b.userIdentity.accessKeyId
WHERE a.eventName = 'AssumeRole' ORDER BY b.eventTime, b.eventID LIMIT 5
