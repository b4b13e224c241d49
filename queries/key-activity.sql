-- title: All about an access key
-- question: Who made this key, who changed it, and what was done with it?
-- param key text: the access key id, AKIA… or ASIA…
-- param limit integer = 1000: rows at most
-- attack: T1078.004 Valid Accounts: Cloud Accounts
SELECT eventtime,
       CASE WHEN useridentity.accesskeyid = $key THEN 'used'
            WHEN requestparameters ->> 'accessKeyId' = $key THEN 'changed'
            ELSE 'made' END AS part,
       actor, eventsource, eventname, outcome, errorcode, recipientaccountid, awsregion, sourceipaddress, useragent, eventid
FROM events
WHERE useridentity.accesskeyid = $key
   OR requestparameters ->> 'accessKeyId' = $key
   OR responseelements -> 'accessKey' ->> 'accessKeyId' = $key
   OR responseelements -> 'credentials' ->> 'accessKeyId' = $key
ORDER BY eventtime, eventid
LIMIT $limit
