SELECT json_array_get(json_extract(requestparameters, '$.instancesSet.items'), 0) AS first,
       json_array_length(json_extract(requestparameters, '$.instancesSet.items')) AS n,
       json_size(requestparameters, '$') AS members, try(CAST(json_extract_scalar(requestparameters, '$.maxCount') AS bigint)) AS most
FROM cloudtrail_logs WHERE eventname IN ('RunInstances', 'TerminateInstances') ORDER BY eventtime, eventid
