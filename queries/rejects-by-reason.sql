-- title: What could not be read
-- question: Why did records or whole objects not become rows (and have not since), how many, and what is an example?
SELECT reason, count(*) AS rejects, count(*) FILTER (WHERE position IS NULL) AS whole_objects,
       count(DISTINCT object) AS objects, sum(raw_bytes) AS bytes, max(rejected_at) AS last_rejected,
       first_value(object ORDER BY rejected_at DESC, object, position) AS example,
       first_value(detail ORDER BY rejected_at DESC, object, position) AS detail
FROM rejects
WHERE resolved_at IS NULL
GROUP BY reason
ORDER BY rejects DESC, reason
