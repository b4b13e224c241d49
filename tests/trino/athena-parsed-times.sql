SELECT date_format(date_parse(eventtime, '%Y-%m-%dT%H:%i:%sZ'), '%W %H:00') AS hour, count(*) AS n, day_of_week(eventtime) AS dow
FROM cloudtrail_logs WHERE eventname = 'ConsoleLogin' GROUP BY 1, 3 ORDER BY 3, 1
