-- title: Objects that were given up
-- question: Which objects could not be read after all attempts, why, and how often were they tried?
-- param limit integer = 1000: rows at most
WITH latest AS (
  SELECT key, version, status, error, coalesce(attempts, 1) AS attempts, bytes, object_date, ingested_at,
         row_number() OVER (PARTITION BY key, version
                            ORDER BY CASE WHEN status IN ('done', 'skipped') THEN 0 ELSE 1 END, ingested_at DESC,
                                     attempts DESC) AS place
  FROM objects
)
SELECT key, version, error, attempts, bytes, object_date, ingested_at AS last_tried
FROM latest
WHERE place = 1 AND status IN ('quarantined', 'rejected')
ORDER BY last_tried DESC, key, version
LIMIT $limit
