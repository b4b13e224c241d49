SELECT region, account, count(*) AS n FROM default.cloudtrail_logs_aws_cloudtrail_logs_111122223333
WHERE year = '2026' AND month = '03' AND day IN ('10', '11') GROUP BY region, account ORDER BY n DESC, region, account LIMIT 5
