SELECT json_extract_scalar(requestparameters, '$.bucketName') AS bucket,
       sum(CAST(json_extract_scalar(additionaleventdata, '$.bytesTransferredOut') AS double)) AS bytes,
       sum(CAST(json_extract(additionaleventdata, '$.bytesTransferredOut') AS bigint)) AS same
FROM cloudtrail_logs WHERE eventname = 'GetObject' GROUP BY 1 ORDER BY 1
