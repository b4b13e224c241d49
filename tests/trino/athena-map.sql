SELECT k, count(*) AS n, arbitrary(v) IS NOT NULL AS has_value
FROM cloudtrail_logs CROSS JOIN UNNEST(CAST(json_parse(requestparameters) AS map(varchar, json))) AS t (k, v)
WHERE eventname = 'ConsoleLogin' OR eventname = 'GetObject' GROUP BY k ORDER BY k
