SELECT userIdentity.sessionContext.sessionIssuer.arn AS role, element_at(requestParameters, 'bucketName') AS bucket, COUNT(*) AS n
FROM "0A1B2C3D-4E5F-6789-ABCD-EF0123456789"
WHERE eventSource = 's3.amazonaws.com' AND readOnly = true AND element_at(requestParameters, 'bucketName') IS NOT NULL
GROUP BY userIdentity.sessionContext.sessionIssuer.arn, element_at(requestParameters, 'bucketName')
ORDER BY n DESC, 1, 2 LIMIT 10
