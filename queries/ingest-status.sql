-- title: State of the ingest by day
-- question: How many objects of each day are in the lake, with how many records, and did any fail?
-- param limit integer = 31: rows at most
WITH latest AS (
  SELECT *, row_number() OVER (PARTITION BY key, version
                               ORDER BY CASE WHEN status IN ('done', 'skipped') THEN 0 ELSE 1 END, ingested_at DESC,
                                        attempts DESC) AS place
  FROM objects
)
SELECT object_date, status, count(*) AS objects, sum(bytes) AS bytes, sum(records) AS records, sum(rows) AS rows,
       sum(duplicates) AS duplicates, sum(rejects) AS rejects, max(ingested_at) AS last_ingested
FROM latest
WHERE place = 1
GROUP BY object_date, status
ORDER BY object_date DESC, status
LIMIT $limit
