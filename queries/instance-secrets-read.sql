-- title: Secrets of machines read
-- question: Who asked for passwords, start-up scripts, consoles or screens of instances?
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
-- attack: T1552.005 Unsecured Credentials: Cloud Instance Metadata API
SELECT eventtime, recipientaccountid, awsregion, actor, eventname, outcome, requestparameters ->> 'instanceId' AS instance,
       sourceipaddress, useragent, eventid
FROM events
WHERE eventsource = 'ec2.amazonaws.com' AND eventtime > $since AND eventtime <= $until
  AND (eventname IN ('GetPasswordData', 'GetConsoleOutput', 'GetConsoleScreenshot', 'GetLaunchTemplateData')
    OR eventname = 'DescribeInstanceAttribute' AND requestparameters ->> 'attribute' = 'userData'
    OR eventname = 'DescribeLaunchTemplateVersions')
ORDER BY eventtime, eventid
LIMIT $limit
