WITH parsed AS (
  SELECT eventid, CAST(json_parse(additionaleventdata) AS map(varchar, varchar)) AS extra FROM cloudtrail_logs WHERE eventname = 'ConsoleLogin'
)
SELECT element_at(extra, 'MFAUsed') AS mfa, cardinality(extra) AS members, array_join(array_sort(map_keys(extra)), '+') AS names,
       contains(map_values(extra), 'Yes') AS yes, count(*) AS n
FROM parsed GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3
