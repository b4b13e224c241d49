SELECT eventName, responseElements['credentials'] AS made, requestParameters['roleArn'] AS role
FROM $EDS_ID WHERE eventName = 'AssumeRole' ORDER BY eventTime, eventID LIMIT 3
