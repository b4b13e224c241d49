SELECT reduce(transform(resources, r -> length(r.arn)), 0, (s, x) -> s + x, s -> s) AS letters, count(*) AS n
FROM cloudtrail_logs WHERE cardinality(resources) > 0 GROUP BY 1 ORDER BY n DESC, 1 LIMIT 5
