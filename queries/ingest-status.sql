-- title: State of the ingest by day
-- question: How many objects of each day are in the lake, with how many records, and did any fail?
-- param limit integer = 31: rows at most
SELECT object_date, status, count(*) AS objects, sum(bytes) AS bytes, sum(records) AS records, sum(rows) AS rows,
       sum(duplicates) AS duplicates, sum(rejects) AS rejects, max(ingested_at) AS last_ingested
FROM objects
GROUP BY object_date, status
ORDER BY object_date DESC, status
LIMIT $limit
