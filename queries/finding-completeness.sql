-- title: Findings whose events may not all be there
-- question: For each finding, how many of the hours that can hold its events are complete, by the digests of some trail?
-- param limit integer = 100: rows at most
WITH latest AS (
    SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY detected_at DESC, content_hash) AS version
                   FROM findings) WHERE version = 1
), windows AS (
    -- an event is delivered within about 15 minutes, and a digest counts to an hour at most 30 minutes away
    SELECT *, date_trunc('hour', first_seen - INTERVAL '30 minutes') AS first_hour,
           date_trunc('hour', last_seen + INTERVAL '45 minutes') AS last_hour
    FROM latest
), hours AS (
    SELECT account, region, hour, max(CASE WHEN status = 'complete' THEN 1 ELSE 0 END) AS complete,
           min(status) AS status
    FROM completeness GROUP BY account, region, hour
), counted AS (
    SELECT w.id, CAST((date_part('epoch', w.last_hour) - date_part('epoch', w.first_hour)) / 3600 AS bigint) + 1 AS hours,
           coalesce(sum(h.complete), 0) AS complete, count(h.hour) AS known,
           min(CASE WHEN h.complete = 0 THEN h.status END) AS worst
    FROM windows w LEFT JOIN hours h
      ON h.account = w.account AND h.region = w.region AND h.hour BETWEEN w.first_hour AND w.last_hour
    GROUP BY w.id, w.first_hour, w.last_hour
)
SELECT w.id, w.severity_label, w.account, w.region, w.first_seen, w.last_seen, c.hours, c.complete,
       CASE WHEN c.complete = c.hours THEN 'complete' WHEN c.worst IS NOT NULL THEN c.worst ELSE 'unknown' END AS completeness,
       w.title
FROM windows w JOIN counted c ON c.id = w.id
ORDER BY c.complete = c.hours, w.score DESC, w.id
LIMIT $limit
