SELECT regexp_extract(useridentity.arn, 'assumed-role/([^/]+)/(.+)$', 1) AS role, regexp_extract(useridentity.arn, 'assumed-role/.+') AS whole,
       regexp_replace(useridentity.arn, '[0-9]{12}', 'N') AS masked, regexp_like(useragent, '(?i)AWS-CLI') AS cli, count(*) AS n
FROM cloudtrail_logs WHERE regexp_like(useridentity.arn, 'assumed-role') GROUP BY 1, 2, 3, 4 ORDER BY n DESC, 1, 2 LIMIT 5
