SELECT userIdentity.arn, eventTime, sourceIPAddress
FROM 0a1b2c3d-4e5f-6789-abcd-ef0123456789
WHERE eventName = 'ConsoleLogin' AND element_at(additionalEventData, 'MFAUsed') = 'No'
  AND element_at(responseElements, 'ConsoleLogin') = 'Success'
ORDER BY eventTime, userIdentity.arn
