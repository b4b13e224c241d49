SELECT actor, date_diff('minute', min(from_iso8601_timestamp(eventtime)), max(from_iso8601_timestamp(eventtime))) AS minutes,
       to_unixtime(max(eventtime)) - to_unixtime(min(eventtime)) AS seconds
FROM cloudtrail_logs WHERE eventname = 'ConsoleLogin' GROUP BY actor HAVING count(*) > 1 ORDER BY 1
